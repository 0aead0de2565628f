"""Check a data set before it is trusted: shape, range, labels, balance, duplicates, damaged files.

Every check looks at all images and returns one finding that names those it is about, so the first problem does not
hide the second. :func:`check` runs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlops_lab.data import duplicates
from mlops_lab.data.dataset import Dataset, Split
from mlops_lab.data.quality_report import MOST_DRAWN, MOST_NAMED, DataFinding, DataReport
from mlops_lab.data.subject import Part, Subject, read_subject, sides

BALANCE = 0.1
LIGHT = 128


@dataclass
class Places:
    """Collects the images that a finding is about, in all splits."""

    found: list[tuple[Part, int]] = field(default_factory=list)

    def add(self, part: Part, wrong: ArrayLike) -> None:
        """Add the images of a split for which ``wrong`` is true."""
        self.found += [(part, int(place)) for place in np.flatnonzero(wrong)]

    def finding(self, name: str, good: str, bad: str, hint: str) -> DataFinding:
        """Return the finding; in ``bad``, ``{}`` becomes the number of images."""
        if not self.found:
            return DataFinding(True, good, name=name)
        count = len(self.found)
        what = "1 image" if count == 1 else f"{count:,} images"
        named = tuple(part.name_of(place) for part, place in self.found[:MOST_NAMED])
        samples = tuple(part.images[place] for part, place in self.found[:MOST_DRAWN])
        message = f"{bad.format(what)}: {', '.join(named[:5])}{', …' if count > 5 else ''}."
        return DataFinding(False, message, hint, name=name, images=named, count=count, samples=samples)


def check(
    subject: Dataset | Split | ArrayLike | str | PathLike[str],
    labels: ArrayLike | None = None,
    *,
    classes: Sequence[str] = (),
    mode: str = "grey",
    light_ground: bool = False,
) -> DataReport:
    """Check a data set, a split, arrays or a folder of images, and name every image that something is wrong with.

    Parameters
    ----------
    subject
        A :class:`Dataset`, a :class:`Split`, an array of images ``(n, height, width)`` together with ``labels``, or a
        folder with one subfolder for each class, if there are several splits below ``train`` and ``test``.
    labels
        The class of each image, where ``subject`` is an array.
    classes
        The names of the classes that are expected; by default the data set's own.
    mode
        ``"grey"`` or ``"rgb"``, for the files of a folder.
    light_ground
        Whether objects are dark on a light ground. Those of Fashion-MNIST and of the digits are light on a dark one.

    Returns
    -------
    DataReport
        ``passed`` is false where a check failed; ``problems`` names the checks that did not pass.

    Raises
    ------
    DataError
        The folder cannot be read, or holds no image.

    Examples
    --------
    >>> from mlops_lab import data
    >>> data.check(data.load("digits")).problems
    ()
    >>> images = data.load("digits").test.images.astype(float)
    >>> images[7, 2, 2] = np.nan
    >>> data.check(images, data.load("digits").test.labels).failed[0].images
    ('images[7]',)
    """
    name, made = read_subject(subject, labels, tuple(classes), mode)
    made = Subject(made.parts, made.classes, made.shape, light_ground)
    findings = tuple(one(made) for one in CHECKS)
    return DataReport(name, {part.name: len(part.images) + len(part.misfits) for part in made.parts}, findings)


def count(subject: Subject) -> DataFinding:
    """Find splits without an image, and splits that have not as many labels as images."""
    empty = [part.name for part in subject.parts if not len(part.images) and not part.misfits]
    if empty:
        return DataFinding(False, f"{', '.join(empty)} holds no image.", "Look where the images went.", name="count")
    uneven = [part for part in subject.parts if part.labels.shape != (len(part.images),)]
    if uneven:
        seen = "; ".join(f"{part.name}: {len(part.images):,} images, labels {part.labels.shape}" for part in uneven)
        return DataFinding(False, f"Each image needs one label. {seen}.", "Pass one label for each.", name="count")
    return DataFinding(True, "Each image has one label.", name="count")


def shape(subject: Subject) -> DataFinding:
    """Find images of another shape than the others, or than the data set's model takes."""
    found = [misfit for part in subject.parts for misfit in part.misfits]
    for part in subject.parts:
        if len(part.images) and part.images.shape[1:] != subject.shape:
            found += [(part.name_of(place), sides(part.images.shape[1:])) for place in range(len(part.images))]
    flat = [part.name for part in subject.parts if len(part.images) and part.images.ndim not in (3, 4)]
    if not found and not flat:
        return DataFinding(True, f"Every image has {sides(subject.shape)} pixels.", name="shape")
    if not found:
        message = f"{', '.join(flat)}: an image should be height × width; these are {sides(subject.shape)}."
        return DataFinding(False, message, "Give them their shape back with reshape.", name="shape")
    seen = ", ".join(f"{name} ({sides})" for name, sides in found[:5])
    message = f"{len(found):,} of the images have another shape than {sides(subject.shape)}: {seen}."
    named = tuple(name for name, _ in found[:MOST_NAMED])
    return DataFinding(False, message, "Resize or leave them out.", name="shape", images=named, count=len(found))


def damaged(subject: Subject) -> DataFinding:
    """Find files that cannot be decoded."""
    found = [one for part in subject.parts for one in part.damaged]
    if not found:
        return DataFinding(True, "Every image can be read.", name="damaged")
    message = f"{len(found):,} of the files cannot be read: {found[0][0]}: {found[0][1]}"
    named = tuple(name for name, _ in found[:MOST_NAMED])
    return DataFinding(False, message, "Fetch or save them again.", name="damaged", images=named, count=len(found))


def finite(subject: Subject) -> DataFinding:
    """Find images that hold NaN or infinity."""
    places = Places()
    for part, pixels in _numeric(subject):
        if pixels.dtype.kind == "f":
            places.add(part, ~np.isfinite(pixels).all(axis=1))
    hint = "Look how they were made: a division by zero, or a missing value."
    return places.finding("finite", "Every pixel is a finite number.", "{} with NaN or infinity", hint)


def pixel_range(subject: Subject) -> DataFinding:
    """Find pixels outside 0–255, images that are divided by 255 already, and arrays that are not numbers."""
    odd = [part.name for part in subject.parts if part.images.dtype.kind not in "iuf" and len(part.images)]
    if odd:
        return DataFinding(False, f"{', '.join(odd)}: the pixels are not numbers.", "Decode them.", name="range")
    places, scaled = Places(), []
    for part, pixels in _numeric(subject):
        if pixels.dtype == np.uint8:
            continue
        with np.errstate(invalid="ignore"):
            places.add(part, ((pixels < 0) | (pixels > 255)).any(axis=1))
            known = pixels[np.isfinite(pixels)]
            if pixels.dtype.kind == "f" and known.max(initial=0) <= 1 and (known % 1).any():
                scaled.append(part.name)
    if scaled and not places.found:
        message = f"{', '.join(scaled)}: every pixel lies from 0 to 1, as if divided by 255 already."
        return DataFinding(False, message, "Keep whole numbers 0–255; the model's input scales them.", name="range")
    hint = "Pixels are whole numbers from 0 to 255."
    return places.finding("range", "Every pixel lies from 0 to 255.", "{} with pixels outside 0–255", hint)


def constant(subject: Subject) -> DataFinding:
    """Find images in which nothing can be seen: all pixels are the same."""
    places = Places()
    for part, pixels in _numeric(subject):
        places.add(part, (pixels == pixels[:, :1]).all(axis=1))
    hint = "Look at them; nothing can be learned from them."
    return places.finding("constant", "No image is blank.", "{} whose pixels are all the same", hint)


def inverted(subject: Subject) -> DataFinding:
    """Find images whose ground is light where it should be dark, or the other way round."""
    places, looked = Places(), False
    for part in subject.parts:
        if part.images.ndim == 3 and min(part.images.shape[1:], default=0) >= 3 and part.images.dtype.kind in "iuf":
            looked = looked or bool(len(part.images))
            places.add(part, _is_light(part.images if not subject.light_ground else 255 - part.images))
    if not looked:
        return DataFinding(None, "Only grey images have a ground that can be told.", name="inverted")
    ground = "dark" if subject.light_ground else "light"
    hint = "Invert them: 255 - image; or pass light_ground=True where that is how all are meant."
    return places.finding("inverted", "The ground is as expected.", f"{{}} with a {ground} ground", hint)


def _is_light(images: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which images have a light ground: most corners are bright, and brighter than the middle."""
    height, width = images.shape[1:]
    side = max(1, min(height, width) // 9)
    top, bottom, left, right = slice(0, side), slice(-side, None), slice(0, side), slice(-side, None)
    corners = [images[:, rows, columns] for rows in (top, bottom) for columns in (left, right)]
    with np.errstate(invalid="ignore"):
        levels = np.stack([corner.mean(axis=(1, 2), dtype=np.float64) for corner in corners], axis=1)
        rows, columns = slice(height // 4, -(height // 4) or None), slice(width // 4, -(width // 4) or None)
        middle = images[:, rows, columns].mean(axis=(1, 2), dtype=np.float64)
        light: NDArray[np.bool_] = (np.median(levels, axis=1) > LIGHT) & (levels.mean(axis=1) > middle)
    return light


def unknown_label(subject: Subject) -> DataFinding:
    """Find labels that are no class."""
    places = Places()
    for part in subject.parts:
        places.add(part, ~_known(part.labels, len(subject.classes))[: len(part.images)])
    hint = f"Labels are whole numbers from 0 to {len(subject.classes) - 1}."
    return places.finding("unknown label", "Every label is a class.", "{} whose label is no class", hint)


def missing_class(subject: Subject) -> DataFinding:
    """Find classes without an image in a split."""
    missing = []
    for part in subject.parts:
        for number in np.flatnonzero(_counts(part, subject) == 0):
            missing.append(f"{part.name} has no {subject.classes[number]}")
    if not missing:
        return DataFinding(True, f"All {len(subject.classes)} classes are there.", name="missing class")
    hint = "Collect images of it, or take the class out of the task."
    return DataFinding(False, f"{'; '.join(missing)}.", hint, name="missing class")


def balance(subject: Subject) -> DataFinding:
    """Warn of a class that is much rarer than the most frequent one."""
    rare = []
    for part in subject.parts:
        counts = _counts(part, subject)
        for number in np.flatnonzero((counts > 0) & (counts < BALANCE * counts.max(initial=0))):
            rare.append(
                f"{part.name} has {counts[number]:,} of {subject.classes[number]} and {counts.max():,} of another"
            )
    if not rare:
        return DataFinding(True, "No class is much rarer than another.", name="balance")
    hint = "Look at figures for each class: the average hides the rare ones."
    return DataFinding(False, f"{'; '.join(rare)}.", hint, name="balance", severity="warning")


def duplicate(subject: Subject) -> DataFinding:
    """Find images that stand twice in one split."""
    places = Places()
    for part, pixels in _numeric(subject):
        places.add(part, duplicates.repeated(pixels))
    hint = "Keep one of each: a repeated image weighs twice."
    return places.finding("duplicates", "No image stands twice in a split.", "{} that stand there already", hint)


def leakage(subject: Subject) -> DataFinding:
    """Find images of a later split that stand in an earlier one."""
    if len(subject.parts) < 2:
        return DataFinding(None, "There is one split only.", name="leakage")
    places, seen = Places(), list(_numeric(subject))
    for place, (part, pixels) in enumerate(seen):
        earlier = [before for _, before in seen[:place] if before.shape[1:] == pixels.shape[1:]]
        places.add(part, duplicates.contained(pixels, earlier))
    hint = "Take them out of one split: a model that learned them by heart would look good."
    return places.finding("leakage", "No image stands in two splits.", "{} that stand in another split too", hint)


def conflict(subject: Subject) -> DataFinding:
    """Find equal images with different labels."""
    places = Places()
    for part, pixels in _numeric(subject):
        if part.labels.shape == (len(pixels),):
            places.add(part, duplicates.contradicted(pixels, part.labels))
    hint = "One of the labels is wrong: look at the image."
    return places.finding("conflict", "Equal images have equal labels.", "{} that also have another label", hint)


def _numeric(subject: Subject) -> Iterator[tuple[Part, NDArray[Any]]]:
    """Yield each split that holds numbers, its images as one row each."""
    for part in subject.parts:
        if part.images.dtype.kind in "iuf" and len(part.images):
            yield part, part.images.reshape(len(part.images), -1)


def _known(labels: NDArray[Any], classes: int) -> NDArray[np.bool_]:
    if labels.dtype.kind not in "iufb" or labels.ndim != 1:
        return np.zeros(len(labels) if labels.ndim else 0, bool)
    with np.errstate(invalid="ignore"):
        known: NDArray[np.bool_] = (labels >= 0) & (labels < classes) & (labels % 1 == 0)
    return known


def _counts(part: Part, subject: Subject) -> NDArray[np.int64]:
    known = _known(part.labels, len(subject.classes))
    valid = part.labels[known].astype(np.int64) if len(known) else np.array([], np.int64)
    return np.bincount(valid, minlength=len(subject.classes))


CHECKS: tuple[Callable[[Subject], DataFinding], ...] = (
    count, shape, damaged, finite, pixel_range, constant, inverted, unknown_label, missing_class, balance, duplicate,
    leakage, conflict,
)  # fmt: skip
