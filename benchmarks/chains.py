"""How often the `number` chain reads a whole number right, on images composed of digits that no model has seen.

    python benchmarks/chains.py                       # 200 images of three digits from the test split
    python benchmarks/chains.py --noise 25 --digits 5

Each image puts digits side by side, each enlarged by its own factor, at random distances and heights, dark on light
or light on dark, faint or strong, with noise. Everything follows from the seed. The images go through the server's
own route as PNG files.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from PIL import Image

from mlops_lab import data, serve
from mlops_lab.image import encode_png

HEIGHT = 72


def compose(split, random, digits=3, noise=10.0):
    """Return an image of several digits side by side, and the number it shows."""
    chosen = random.integers(len(split), size=digits)
    sheet = np.zeros((HEIGHT, 90 * digits))
    left = int(random.integers(4, 20))
    for place in chosen:
        size = int(random.integers(32, 52))
        large = Image.fromarray(split.images[place]).resize((size, size), Image.Resampling.BICUBIC)
        top = int(random.integers(4, HEIGHT - size - 4))
        part = sheet[top : top + size, left : left + size]
        np.maximum(part, np.asarray(large), out=part)
        left += size + int(random.integers(1, 14))
    low, high = random.integers(0, 50), random.integers(180, 256)
    sheet = low + sheet[:, : left + 4] * ((high - low) / 255)
    if random.random() < 0.5:
        sheet = 255 - sheet
    sheet += random.normal(0, noise, sheet.shape)
    return np.clip(np.rint(sheet), 0, 255).astype(np.uint8), "".join(str(split.labels[place]) for place in chosen)


def measure(images, digits, noise, seed):
    """Return the figures of one run."""
    split = data.load("digits").test
    client = serve.create_app("models").test_client()
    random = np.random.default_rng(seed)
    counted = right = right_digits = 0
    times = []
    for _ in range(images):
        sheet, truth = compose(split, random, digits, noise)
        answer = client.post("/chains/number", data=encode_png(sheet), content_type="image/png").get_json()
        read = answer["answer"]
        counted += len(read) == len(truth)
        right += read == truth
        right_digits += sum(a == b for a, b in zip(read, truth, strict=False)) if len(read) == len(truth) else 0
        times.append([link["milliseconds"] for link in answer["links"]])
    own = client.get("/models/digits").get_json()["metrics"]["test_accuracy"]
    return {
        "images": images,
        "digits": digits,
        "noise": noise,
        "seed": seed,
        "numbers_right": right / images,
        "count_right": counted / images,
        "digits_right": right_digits / (images * digits),
        "model_alone": round(own, 4),
        "model_alone_to_the_power": round(own**digits, 4),
        "median_milliseconds": dict(zip(("find", "read", "join"), np.median(times, axis=0).round(2), strict=True)),
    }


def main():
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--digits", type=int, default=3)
    parser.add_argument("--noise", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.images, chosen.digits, chosen.noise, chosen.seed), indent=2))


if __name__ == "__main__":
    main()
