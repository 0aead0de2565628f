"""Reference answers to grade-1 to grade-5, and other ways to write the same."""

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
