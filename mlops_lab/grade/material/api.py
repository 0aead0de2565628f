"""The reference answer of serve-1 to serve-4 on ONNX Runtime: what time limits are multiples of."""

import io

import numpy as np
import onnxruntime
from flask import Flask, jsonify, request
from PIL import Image, UnidentifiedImageError

LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
ERRORS = (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError)

app = Flask(__name__)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession("models/clothes.onnx", options, providers=["CPUExecutionProvider"])


@app.get("/models/clothes/v1")
def info():
    """Describe the model."""
    return {
        "version": "v1",
        "name": "clothes",
        "description": "Classify images of articles of clothing",
        "number_of_parameters": 133280,
    }


@app.get("/readyz")
def ready():
    """Say that the model is loaded: this line is reached only afterwards."""
    return {"ready": True}


@app.post("/models/clothes/v1")
def classify():
    """Take the image out, prepare it, apply the model, package the answer, send it."""
    data = request.files["image"].read() if "image" in request.files else request.get_data()
    if not data:
        return jsonify(error="No image: send a PNG or JPEG as the body, or in the form field 'image'."), 400
    try:
        image = Image.open(io.BytesIO(data))
        if image.size != (28, 28):
            return jsonify(error=f"Images have 28×28 pixels; this one has {image.size[0]}×{image.size[1]}."), 400
        pixels = np.asarray(image.convert("L"), dtype=np.float32)
    except ERRORS as error:
        return jsonify(error=f"The body is not an image: {error}"), 400
    row = session.run(None, {session.get_inputs()[0].name: pixels.reshape(1, 28, 28, 1) / 255})[0][0]
    best = int(row.argmax())
    return {"label": LABELS[best], "class": best, "probabilities": row.tolist()}
