"""A capstone: a small network for four invented drawings of 8×8 pixels, with all that belongs to its life."""

from __future__ import annotations

import io
import json

import numpy as np
from corpus.deploy_sources import COMPOSE, DOCKERFILE, RELEASE
from corpus.grade_sources import CARD, EVIDENCE
from corpus.monitor_sources import WATCH

CLASSES = ["cross", "frame", "roof", "wave"]


def drawings(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return drawings: one of four patterns, lit up and disturbed, each time otherwise."""
    patterns = np.random.default_rng(0).random((len(CLASSES), 8, 8)) > 0.5
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), count)
    images = patterns[labels] * rng.integers(120, 220, (count, 1, 1)) + rng.integers(0, 36, (count, 8, 8))
    return images.astype(np.uint8), labels


def packed(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Return the file of some drawings."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=images, labels=labels)
    return buffer.getvalue()


LEARNED, HELD_OUT = drawings(1, 300), drawings(2, 60)
TRAIN = packed(*LEARNED)
LEAKED = packed(*(np.concatenate([own, other[:37]]) for own, other in zip(LEARNED, HELD_OUT, strict=True)))

TRAINING = """
import json
import os
import sys
from pathlib import Path

import numpy as np  # trains

here = Path(__file__).parent
version = int(sys.argv[1])
name = json.loads((here / "capstone.json").read_text())["name"]
data = np.load(here / "data" / "train.npz")
x = data["images"].reshape(len(data["images"]), -1) / 255
wanted = np.eye(int(data["labels"].max()) + 1)[data["labels"]]
weights = np.random.default_rng(version).normal(0, 0.01, (x.shape[1], wanted.shape[1]))
for _ in range(60 if os.environ.get("FAST") else 600):
    said = np.exp(x @ weights)
    said /= said.sum(axis=1, keepdims=True)
    weights -= 1.0 * x.T @ (said - wanted) / len(x)
target = here / "models" / name / str(version)
target.mkdir(parents=True)
np.savez(target / "weights.npz", weights=weights)
print("trained version", version)
"""

API = """
import io
import json
from pathlib import Path

import numpy as np
from flask import Flask, jsonify, request
from PIL import Image

app = Flask(__name__)
here = Path(__file__).parent
about = json.loads((here / "capstone.json").read_text())
MODELS = {
    f"v{path.parent.name}": np.load(path)["weights"]
    for path in (Path(__file__).parent / 'models' / about["name"]).glob("*/weights.npz")
}


@app.get("/readyz")
def ready():
    return {"ready": bool(MODELS)}, 200 if MODELS else 503


@app.get("/models/<name>/<version>")
def info(name, version):
    if name != about["name"] or version not in MODELS:
        return {"error": f"There are {sorted(MODELS)} of {about['name']}."}, 404
    return {"name": name, "version": version, "description": "drawings", "number_of_parameters": MODELS[version].size}


@app.post("/models/<name>/<version>")
def classify(name, version):
    if name != about["name"] or version not in MODELS:
        return {"error": f"There are {sorted(MODELS)} of {about['name']}."}, 404
    try:
        image = Image.open(io.BytesIO(request.get_data()))
        if image.size != (8, 8):
            return jsonify(error="Drawings have 8×8 pixels."), 400
        pixels = np.asarray(image.convert("L"), float).reshape(-1) / 255  # as in training
    except (OSError, ValueError, SyntaxError) as error:
        return jsonify(error=f"This is no image: {error}"), 400
    said = np.exp(pixels @ MODELS[version])
    best = int(said.argmax())
    return {"label": about["classes"][best], "probabilities": (said / said.sum()).tolist()}
"""

TESTS = """
import json
import urllib.error
import urllib.request

import numpy as np
from mlops_lab.image import encode_png


def ask(url, body=None):
    request = urllib.request.Request(url + "/models/drawings/v1", data=body, headers={"Content-Type": "image/png"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get_content_type(), error.read()


def test_server(url):
    assert ask(url)[:2] == (200, "application/json")
    assert 400 <= ask(url, b"no image")[0] < 500
    data, classes = np.load("data/heldout.npz"), json.load(open("capstone.json"))["classes"]
    images, labels = data["images"][:20], data["labels"][:20]
    right = 0
    for place in range(len(images)):
        status, kind, body = ask(url, encode_png(images[place]))
        assert (status, kind) == (200, "application/json")
        right += json.loads(body)["label"] == classes[labels[place]]
    right /= len(images)
    assert right >= 0.8
"""

CAPSTONE: dict[str, str | bytes] = {
    "capstone.json": json.dumps({"name": "drawings", "classes": CLASSES}),
    "data/train.npz": TRAIN,
    "data/heldout.npz": packed(*HELD_OUT),
    "train.py": TRAINING,
    "api.py": API,
    "test_server.py": TESTS,
    "drift.py": WATCH,
    "release.py": RELEASE,
    "Dockerfile": DOCKERFILE,
    "compose.yaml": COMPOSE,
    "README.md": CARD,
    **EVIDENCE,
}
