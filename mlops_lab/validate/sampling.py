"""Choose whom to look at: a hold-out in which every group is seen, and groups by what an image shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops_lab.errors import WrongUsage, nearest

# Pixels up to here are ground.
GROUND = 25


def holdout(groups: ArrayLike, per_group: int, seed: int = 0) -> NDArray[np.int64]:
    """Return places of a hold-out in which every group is seen equally often, in random order.

    Parameters
    ----------
    groups
        ``(n,)``, the group of each example.
    per_group
        How many of each group.
    seed
        Which ones.

    Raises
    ------
    WrongUsage
        A group has fewer; the message names it.

    Examples
    --------
    >>> groups = np.array(["rare"] * 10 + ["common"] * 990)
    >>> chosen = holdout(groups, 8)
    >>> np.unique(groups[chosen], return_counts=True)[1].tolist()
    [8, 8]
    """
    array, random = np.asarray(groups), np.random.default_rng(seed)
    names, counts = np.unique(array, return_counts=True)
    if not len(array) or per_group < 1 or counts.min() < per_group:
        few = zip(names.tolist(), counts.tolist(), strict=True)
        small = [f"{name}: {count}" for name, count in few if count < per_group]
        message = f"{per_group} of each group cannot be drawn from {len(array)} examples. {', '.join(small)}".strip()
        raise WrongUsage(message, "Collect more of the small groups, or leave them out and say so.")
    drawn = [random.choice(np.flatnonzero(array == name), per_group, replace=False) for name in names]
    return random.permutation(np.concatenate(drawn))


def group_images(images: ArrayLike, by: str = "coverage", parts: int = 3) -> NDArray[np.str_]:
    """Return a group for each image by a property that everybody can see.

    Parameters
    ----------
    images
        ``(n, height, width)``, 0–255.
    by
        ``"coverage"`` (the share that is not ground), ``"brightness"`` (the mean) or ``"contrast"``.
    parts
        Number of equally large groups, from the lowest to the highest.

    Examples
    --------
    >>> images = np.stack([np.full((8, 8), level) for level in (10, 20, 200, 250)])
    >>> group_images(images, "brightness", 2).tolist()
    ['1 of 2 (lowest)', '1 of 2 (lowest)', '2 of 2 (highest)', '2 of 2 (highest)']
    """
    array = np.asarray(images)
    rows = array.reshape(len(array), -1)
    inked = rows > GROUND
    properties: dict[str, Callable[[], NDArray[Any]]] = {
        "coverage": lambda: inked.mean(axis=1),
        "brightness": lambda: rows.mean(axis=1, dtype=np.float64),
        "contrast": lambda: rows.std(axis=1),
    }
    if by not in properties:
        raise WrongUsage(f"Images are not grouped by {by!r}.", nearest(by, properties))
    if parts < 2:
        raise WrongUsage(f"{parts} parts make no groups.", "Take at least two.")
    values = properties[by]()
    place = np.searchsorted(np.quantile(values, np.arange(1, parts) / parts), values, side="left")
    ends = {0: " (lowest)", parts - 1: " (highest)"}
    names = np.array([f"{part + 1} of {parts}{ends.get(part, '')}" for part in range(parts)])
    return np.asarray(names[place])
