"""Shift on a dial: what happens to images in production, from hardly to badly.

Each kind takes images, grey or in colour, with values 0–255 and a strength from 0 (nothing) to 1. Two of them change
which images come (``seasons``, ``new clothes``), the others what they look like.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mlops_lab.data import Split
from mlops_lab.errors import WrongUsage, nearest
from mlops_lab.summary.window import NO_CLASS

Pixels = NDArray[np.float32]
Disturb = Callable[[Pixels, float, np.random.Generator], Pixels]


def _noise(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    return x + random.normal(0, 80 * strength, x.shape).astype(np.float32)


def _dark(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    return x * (1 - 0.9 * strength)


def _bright(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    return x + 120 * strength


def _contrast(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    middle = x.mean(axis=(1, 2), keepdims=True)
    flattened: Pixels = middle + (x - middle) * (1 - 0.9 * strength)
    return flattened


def _blur(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    from scipy.ndimage import gaussian_filter

    sides = (0.09 * side * strength for side in x.shape[1:3])
    blurred: Pixels = gaussian_filter(x, (0, *sides, *[0] * (x.ndim - 3)))
    return blurred


def _rotate(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    from scipy.ndimage import rotate

    angles = random.choice((-1, 1), len(x)) * 35 * strength
    return np.stack([rotate(image, angle, reshape=False, order=1) for image, angle in zip(x, angles, strict=True)])


def _moved(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    steps = np.round(random.choice((-1, 1), (len(x), 2)) * 0.2 * strength * np.array(x.shape[1:3])).astype(int)
    return np.stack([_shift(image, down, right) for image, (down, right) in zip(x, steps, strict=True)])


def _shift(image: Pixels, down: int, right: int) -> Pixels:
    height, width = image.shape[:2]
    moved = np.zeros_like(image)
    source = image[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    moved[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = source
    return moved


def _zoom(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    from scipy.ndimage import affine_transform

    factor = np.ones(x.ndim - 1)
    factor[:2] += 0.8 * strength  # the object shrinks
    middle = (np.array(x.shape[1:]) - 1) / 2
    return np.stack([affine_transform(image, factor, middle * (1 - factor), order=1) for image in x])


def _inverted(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    chosen = random.random(len(x)) < 0.6 * strength
    return np.where(chosen.reshape(-1, *[1] * (x.ndim - 1)), 255 - x, x).astype(np.float32)


def _masks(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    masked = x.copy()
    height, width = (max(1, round(0.55 * strength * side)) for side in x.shape[1:3])
    tops = random.integers(0, x.shape[1] - height + 1, len(x))
    lefts = random.integers(0, x.shape[2] - width + 1, len(x))
    for image, top, left in zip(masked, tops, lefts, strict=True):
        image[top : top + height, left : left + width] = 0
    return masked


def _coarse(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    step = 255 / max(1, round(8 * (1 - strength)))
    return (np.round(x / step) * step).astype(np.float32)


def _broken_camera(x: Pixels, strength: float, random: np.random.Generator) -> Pixels:
    """Let a growing share of the sensor's rows, the same in every image, stay black or white."""
    broken = x.copy()
    dead = np.random.default_rng(x.shape[1]).permutation(x.shape[1])[: round(0.4 * strength * x.shape[1])]
    broken[:, dead[::2]], broken[:, dead[1::2]] = 0, 255
    return broken


_PIXELS: dict[str, Disturb] = {
    "noise": _noise,
    "dark": _dark,
    "bright": _bright,
    "contrast": _contrast,
    "blur": _blur,
    "rotated": _rotate,
    "moved": _moved,
    "far away": _zoom,
    "inverted": _inverted,
    "masks": _masks,
    "coarse": _coarse,
    "broken camera": _broken_camera,
}
KINDS = (*_PIXELS, "seasons", "new clothes")


def disturb(split: Split, kind: str, strength: float, *, share: float = 1.0, seed: int = 0) -> Split:
    """Return images as production might send them after something changed.

    Parameters
    ----------
    split
        Images and their classes.
    kind
        One of :data:`KINDS`: ``"noise"``, ``"masks"`` (a black box before the object), ``"new clothes"`` (of no class
        that the model knows), ``"seasons"`` (the classes come in other shares), ``"dark"``, ``"moved"``,
        ``"broken camera"`` and others.
    strength
        From 0, nothing, to 1.
    share
        The part of the images that is disturbed.
    seed
        Of the random numbers.

    Returns
    -------
    Split
        As many images. The class of an image that belongs to none is -2.

    Raises
    ------
    WrongUsage
        There is no such kind, or the strength or the share is not between 0 and 1.

    Examples
    --------
    >>> from mlops_lab import data
    >>> digits = data.load("digits").test
    >>> int(disturb(digits, "dark", 1.0).images.max()) < 30
    True
    """
    if kind not in KINDS:
        raise WrongUsage(f"There is no disturbance {kind!r}.", nearest(kind, KINDS))
    if not (0 <= strength <= 1 and 0 <= share <= 1):
        raise WrongUsage(f"The strength {strength} or the share {share} is not from 0 to 1.", "Turn it to 0.5.")
    if strength == 0 or share == 0 or not len(split):
        return split
    random = np.random.default_rng(seed)
    if kind == "seasons":
        return _seasons(split, strength * share, random)
    chosen = np.flatnonzero(random.random(len(split)) < share)
    if kind == "new clothes":
        return _new_clothes(split, chosen[random.random(len(chosen)) < 0.6 * strength], random)
    images = split.images.copy()
    changed = _PIXELS[kind](images[chosen].astype(np.float32), strength, random)
    images[chosen] = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return Split(images, split.labels)


def _seasons(split: Split, strength: float, random: np.random.Generator) -> Split:
    """Draw half of the classes more often and the others less; at 1, the others hardly come."""
    classes = np.unique(split.labels)
    favoured = classes[1::2] if len(classes) > 1 else classes
    weights = np.where(np.isin(split.labels, favoured), 1.0, 1 - 0.95 * strength)
    chosen = random.choice(len(split), len(split), p=weights / weights.sum())
    return Split(split.images[chosen], split.labels[chosen])


def _new_clothes(split: Split, chosen: NDArray[np.int64], random: np.random.Generator) -> Split:
    """Put together what does not belong together: the left half of one image, the right half of another, mirrored."""
    images, labels = split.images.copy(), split.labels.astype(np.int64)
    first, second = (random.integers(0, len(split), len(chosen)) for _ in range(2))
    half = split.images.shape[2] // 2
    made = np.concatenate([split.images[first][:, ::-1, :half], split.images[second][:, :, ::-1][:, :, half:]], axis=2)
    images[chosen] = np.ascontiguousarray(made.swapaxes(1, 2) if made.shape[1] == made.shape[2] else made)
    labels[chosen] = NO_CLASS
    return Split(images, labels)
