"""What a user would write instead: an image through Pillow and ONNX Runtime to the course's JSON, in FastAPI."""

import io
import os

import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from PIL import Image

LABELS = os.environ["LABELS"].split(",")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1  # an image is too small to be worth two
session = onnxruntime.InferenceSession(os.environ["MODEL_FOLDER"] + "/model.onnx", options)
name = session.get_inputs()[0].name
app = FastAPI()


@app.post("/")
async def classify(request: Request):
    """Classify the PNG in the body."""
    image = Image.open(io.BytesIO(await request.body())).convert("L")
    pixels = np.asarray(image, np.float32)[None, :, :, None] / 255
    row = session.run(None, {name: pixels})[0][0]
    best = int(row.argmax())
    answer = {"label": LABELS[best], "class": best, "confidence": float(row[best]), "probabilities": row.tolist()}
    return {"model": "clothes", "version": "v1", "predictions": [answer]}
