"""Reference answers to data-1 to data-6, and other ways to write the same."""

from corpus_types import solution

YEAR = solution("data-1")

DESCRIBE = """
import numpy as np

def describe(split):
    images, labels = split.images, split.labels
    return {
        "count": len(images),
        "shape": images.shape,
        "dtype": images.dtype,
        "lowest": images.min() if images.size else None,
        "highest": images.max() if images.size else None,
        "zeros": float((images == 0).mean()) if images.size else 0.0,
        "per_class": np.bincount(labels, minlength=10),
    }
"""

DESCRIBE_BY_HAND = """
def describe(split):
    images, labels = split.images, split.labels
    some = len(images) > 0
    return dict(
        count=images.shape[0], shape=images.shape[1:], dtype=str(images.dtype),
        lowest=int(images.min()) if some else 0, highest=int(images.max()) if some else 0,
        zeros=int((images == 0).sum()) / images.size if some else 0,
        per_class={c: int((labels == c).sum()) for c in range(10)},
    )
"""

PREPARE = solution("data-3", "import numpy as np\n")

PREPARE_VARIANTS = [
    "import numpy as np\ndef prepare(images):\n    return np.reshape(images, (-1, 28, 28, 1)).astype('float32') / 255\n",
    "import numpy as np\ndef prepare(images):\n    batch = np.array(images, dtype=np.float32).reshape(-1, 28, 28, 1)\n"
    "    batch *= 1 / 255\n    return batch\n",
    "import numpy as np\ndef prepare(images):\n    return np.true_divide(images, 255, dtype=np.float32).reshape(-1, 28, 28, 1)\n",
]

SPLIT = solution("data-4", "import numpy as np\n")

PROBLEMS = """
import numpy as np

def problems(images, labels):
    found = []
    if images.shape[1:] != (28, 28):
        found.append("shape")
    values = images.astype(float)
    if not np.isfinite(values).all():
        found.append("not-finite")
    finite = values[np.isfinite(values)]
    if finite.min() < 0 or finite.max() > 255:
        found.append("range")
    flat = values.reshape(len(values), -1)
    if (flat.min(axis=1) == flat.max(axis=1)).any():
        found.append("constant")
    if not set(labels.tolist()) <= set(range(10)):
        found.append("label-unknown")
    if not set(range(10)) <= set(labels.tolist()):
        found.append("class-missing")
    if len({one.tobytes() for one in images}) < len(images):
        found.append("duplicates")
    border = np.concatenate([values[:, 0], values[:, -1]], axis=1)
    if np.median(border) > 127:
        found.append("inverted")
    return found
"""

SUSPECTS = solution("data-6", "import numpy as np\n")
