"""Everything that is measured of a version, and the data it is measured on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import data
from mlops_lab.data import DataReport, Dataset, Split
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.predict import Predictor
from mlops_lab.store.manifest import ModelManifest
from mlops_lab.validate.answers import collect
from mlops_lab.validate.behaviour import BehaviourLimits, check_behaviour
from mlops_lab.validate.behaviour_report import BehaviourReport
from mlops_lab.validate.comparison import Comparison, compare_answers
from mlops_lab.validate.fairness import by_group
from mlops_lab.validate.groups import GroupReport
from mlops_lab.validate.quality import Quality, measure_quality
from mlops_lab.validate.robustness import Robustness, measure_robustness
from mlops_lab.validate.sampling import group_images

# The data sets that are here, whose classes tell which one a version without a note of its data was made for.
SHIPPED = ("fashion-mnist", "digits")


@dataclass(frozen=True, eq=False)
class Measured:
    """The measurements of a version; ``None`` where one does not apply."""

    data: DataReport
    quality: Quality
    groups: tuple[GroupReport, ...] = ()
    behaviour: BehaviourReport | None = None
    robustness: Robustness | None = None
    comparison: Comparison | None = None
    groups_of: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)


def find_data(manifest: ModelManifest) -> Dataset | None:
    """Return the data set that a version was made for: the one its manifest names, or whose classes are its labels."""
    name = str(manifest.data.get("name", ""))
    for candidate in [name] if name else SHIPPED:
        try:
            found = data.load(candidate)
        except LabError:
            continue
        if name or (set(found.classes) == set(manifest.labels) and found.input.size == manifest.input.size):
            return found
    return None


def read_examples(path: str | Path, manifest: ModelManifest) -> tuple[Dataset, dict[str, NDArray[Any]]]:
    """Return labelled images of one's own, and their groups, from an ``.npz`` file.

    Its arrays are ``images`` (n, height, width), ``labels`` (n,), the numbers or names of the version's classes, and if
    there are any ``groups`` (n,).

    Raises
    ------
    WrongUsage
        The file cannot be read, or lacks an array.
    """
    needed = "Save it so: np.savez('test.npz', images=images, labels=labels)."
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        images, labels = arrays["images"], arrays["labels"]
    except (OSError, ValueError, LookupError) as error:
        raise WrongUsage(f"{path} holds no images and labels: {error}.", needed) from error
    if labels.dtype.kind == "U":
        place = {name: number for number, name in enumerate(manifest.labels)}
        labels = np.array([place.get(name, -1) for name in labels.tolist()])
    if len(images) != len(labels) or not len(labels) or not (0 <= labels.min() <= labels.max() < len(manifest.labels)):
        raise WrongUsage(f"{path}: {len(images)} images and labels {labels.shape} do not fit the version.", needed)
    split = Split(images, labels.astype(np.int64))
    name = Path(path).name
    groups = {"groups": arrays["groups"]} if len(arrays.get("groups", ())) == len(labels) else {}
    return Dataset(name, manifest.labels, split, split, manifest.input), groups


def measure(
    predictor: Predictor,
    dataset: Dataset,
    gates: dict[str, dict[str, Any]],
    *,
    baseline: Predictor | None = None,
    groups: dict[str, NDArray[Any]] | None = None,
    images: int = 500,
) -> Measured:
    """Measure data, quality, groups, behaviour and robustness of a loaded version.

    Raises
    ------
    WrongUsage
        The version's labels are not the data's classes.
    """
    answers = collect(predictor, dataset)
    drawn = predictor.input.size is not None and answers.images.ndim in (3, 4)
    by = {**(groups or {})}
    if drawn:
        by |= {name: group_images(answers.images, name) for name in gates["groups"]["by"]}
    minimum = int(gates["groups"]["minimum"])
    own = dataset.train is dataset.test
    return Measured(
        data.check(dataset.test if own else dataset, classes=dataset.classes),
        measure_quality(answers),
        tuple(
            by_group("accuracy", answers.labels, answers.predicted, group, attribute=name, minimum=minimum)
            for name, group in by.items()
        ),
        check_behaviour(predictor, dataset, BehaviourLimits(**gates["behaviour"]), images=images) if drawn else None,
        measure_robustness(predictor, dataset, images=images) if drawn else None,
        _against(baseline, answers, dataset),
        by,
    )


def _against(baseline: Predictor | None, answers: Any, dataset: Dataset) -> Comparison | None:
    """Compare with the version in production, where it answers about the same data."""
    if baseline is None:
        return None
    try:
        return compare_answers(collect(baseline, dataset), answers)
    except LabError:
        return None
