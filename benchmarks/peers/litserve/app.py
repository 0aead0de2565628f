"""LitServe's quickstart with the lab's model, batching on: JSON with a base64 image."""

import base64
import io
import os
import sys
from pathlib import Path

import litserve
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from model import load

LABELS = os.environ["LABELS"].split(",")


class Classifier(litserve.LitAPI):
    """Decode, predict, encode, as its documentation has it."""

    def setup(self, device):
        """Load the model once for each worker."""
        self.predict_images = load()

    def decode_request(self, request):
        """Return the pixels of an image."""
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(request["image"]))), np.float32)[:, :, None] / 255

    def batch(self, inputs):
        """Put the images of several requests together."""
        return np.stack(inputs)

    def predict(self, batch):
        """Compute the probabilities of all of them."""
        return self.predict_images(batch)

    def unbatch(self, output):
        """Take them apart again."""
        return list(output)

    def encode_response(self, row):
        """Answer one request."""
        return {"label": LABELS[int(row.argmax())], "probabilities": row.tolist()}


if __name__ == "__main__":
    api = Classifier(max_batch_size=16, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
