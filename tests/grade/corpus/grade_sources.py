"""Reference answers to grade-1 to grade-5, and other ways to write the same."""

import json

from corpus_types import solution

CHECK = """
import numpy as np

HINTS = {
    "maximum": "The scale depends on the images: a dark image became brighter than it is.",
    "whole-numbers": "Only 0 and 1 are left: what lies between is gone.",
    "changed": "The images that were given are not what they were.",
    "raises": "The function stopped with an error.",
    "array": "There is no array of numbers.",
    "shape": "The shape is another than (images, 28, 28, 1).",
    "dtype": "The type is another than float32.",
    "values": "The values are others than those of training.",
}


def looks_like(batch, wanted):
    return batch.shape == wanted.shape and np.allclose(batch, wanted, rtol=0, atol=1e-5)


def words(prepare, images):
    before = images.copy()
    try:
        batch = prepare(images)
    except Exception:
        yield "raises"
        return
    if not np.array_equal(images, before):
        yield "changed"
    if not isinstance(batch, np.ndarray) or batch.dtype.kind not in "biuf":
        yield "array"
        return
    whole = before.reshape(-1, 28, 28, 1).astype(np.float64)
    if batch.shape != whole.shape:
        yield "shape"
        return
    if batch.dtype != np.float32:
        yield "dtype"
    if looks_like(batch, whole / 255):
        return
    yield "values"
    own = np.maximum(whole.max(axis=(1, 2, 3), keepdims=True), 1)
    if looks_like(batch, whole / max(whole.max(), 1)) or looks_like(batch, whole / own):
        yield "maximum"
    elif set(np.unique(batch)) <= {0, 1}:
        yield "whole-numbers"


def check_prepare(prepare):
    images = np.random.default_rng(0).integers(0, 200, (5, 28, 28)).astype(np.uint8)
    images[0] //= 2
    given = [images, images[0], images[:1], images.astype(np.float32)]
    said = [word for one in given for word in words(prepare, one)]
    return {word: HINTS[word] for word in said}
"""

CHECK_IN_PAIRS = CHECK.replace(
    "return {word: HINTS[word] for word in said}", "return [(word, HINTS[word]) for word in set(said)]"
)

QUALITY = {
    "data": "fashion-mnist, test",
    "count": 10000,
    "accuracy": 0.9081,
    "precision": 0.9080983197633493,
    "recall": 0.9081,
    "f1": 0.9080410538545876,
    "intervals": {"accuracy": [0.9022801720667188, 0.913606408463135]},
    "classes": {
        "Trouser": {
            "support": 1000,
            "precision": 0.9928934,
            "recall": 0.978,
            "recall_interval": [0.9669143, 0.9854273],
        },
        "Coat": {"support": 1000, "precision": 0.8493151, "recall": 0.868, "recall_interval": [0.8456051, 0.8875784]},
        "Shirt": {"support": 1000, "precision": 0.75, "recall": 0.738, "recall_interval": [0.7098724, 0.7643061]},
        "Bag": {"support": 1000, "precision": 0.9723593, "recall": 0.985, "recall_interval": [0.9753990, 0.9908890]},
    },
}
GROUPS = {
    "coverage": {
        "overall": 0.9081,
        "difference": 0.10124682544227703,
        "groups": {"1 of 3 (lowest)": {"value": 0.9679736, "count": 3341}, "3 of 3 (highest)": {"value": 0.8667268, "count": 3324}},
    }
}  # fmt: skip
MODEL = {"name": "clothes", "version": 1, "versions": {"keras": "3.15.1", "python": "3.11.7"}, "number_of_parameters": 133280,
         "data": {"name": "fashion-mnist", "train": 60000, "test": 10000}}  # fmt: skip
EVIDENCE = {
    f"evidence/{name}.json": json.dumps(one)
    for name, one in {"quality": QUALITY, "groups": GROUPS, "model": MODEL}.items()
}

CARD = """# clothes v1

A network that names a garment on a small grey image.

## Purpose

It shows students how a model is served. It is not meant for a shop.

## Data

Trained on 60,000 images of Fashion-MNIST, 28×28 and grey; measured on the 10,000 of its test split.

## Figures

The accuracy is 0.908, and lies between 0.902 and 0.914 with 95% confidence.

## Groups

Shirts are the worst: of each class so many are found.

| class | recall | interval |
|---|---|---|
| Shirt | 0.738 | 0.710 to 0.764 |
| Bag | 0.985 | 0.975 to 0.991 |

Where little of the image is garment the accuracy is 96.8%, where much is, 86.7%.

## Limits

It has never seen a photograph in colour, a garment that is worn, or anything that is no garment.

## Versions

These are the figures of v1, with 133,280 numbers, made with Keras 3.15 and Python 3.11 in 2026.

## How to ask it

Send one image:

```console
$ curl --data-binary @image.png -H "Content-Type: image/png" http://127.0.0.1:8000/models/clothes/v1
```
"""

OTHER_CARD = """---
library_name: keras
---
# Garments

One of ten names for a grey image of 28 by 28 pixels, version 1.

## What it does
It names the garment on an image, and says how sure it is.

## Training data
Fashion-MNIST: 60000 images to learn from.

## Quality
Of 100 images 90.8 % are named rightly (± 0.6 %), on images that it did not learn from.

### By class
The recall of Shirt is 0.74, and that of Trouser 0.98.

## What it cannot do
Only the ten kinds of Fashion-MNIST are known to it: a hat becomes a bag.

## History
Version 1 is the first that was published.

## Usage
Ask the server with `curl --data-binary @shirt.png http://127.0.0.1:8000/models/clothes/v1`.
"""

ATTACKS = solution("grade-3", file="attacks.py")
