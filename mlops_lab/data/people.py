"""Invented people, for what images of garments cannot teach: a model that treats two groups differently."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.data.dataset import REINSTALL
from mlops_lab.errors import DataError

ADMISSIONS = Path(__file__).parent / "admissions.csv"
FEATURES = ("test_score", "essay_score", "distance_km")


@dataclass(frozen=True, eq=False)
class Admissions:
    """8,000 invented applicants: what is known of each, whether they would succeed, and the school they come from.

    Parameters
    ----------
    features
        ``(8000, 3)``: test score, essay score (0–100) and distance in km. The school is not among them.
    labels
        ``(8000,)``: 1 for a person who would succeed, else 0.
    groups
        ``(8000,)``: ``"day"`` or ``"evening"``, the school.
    names
        The names of the features.

    Examples
    --------
    >>> from mlops_lab import data
    >>> people = data.load_admissions()
    >>> people.features.shape, sorted(set(people.groups.tolist()))
    ((8000, 3), ['day', 'evening'])
    """

    features: NDArray[np.float64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    groups: NDArray[np.str_] = field(repr=False)
    names: tuple[str, ...] = FEATURES

    def __len__(self) -> int:
        return len(self.labels)

    def halves(self) -> tuple[Admissions, Admissions]:
        """Return the first half, to learn from, and the second, to judge by; the rows are in random order."""
        middle = len(self) // 2
        parts = (slice(None, middle), slice(middle, None))
        first, second = (Admissions(self.features[p], self.labels[p], self.groups[p], self.names) for p in parts)
        return first, second

    def _repr_html_(self) -> str:
        rows = [
            (group, f"{(self.groups == group).sum():,}", f"{self.labels[self.groups == group].mean():.3f}")
            for group in np.unique(self.groups).tolist()
        ]
        table = show.table(rows, ("school", "people", "share that would succeed"))
        return show.card(f"Admissions: {len(self):,} invented people", table)


def load_admissions(path: Path = ADMISSIONS) -> Admissions:
    """Load the invented admissions.

    Who would succeed depends on ability alone, which is distributed alike in both schools; but the test measures the
    evening school's people lower than they are. So a model that never sees the school overlooks more of them: leaving
    an attribute out makes nothing fair.

    Raises
    ------
    DataError
        The file is missing or damaged.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        features = np.array([[float(row[name]) for name in FEATURES] for row in rows])
        labels = np.array([int(row["succeeds"]) for row in rows])
        groups = np.array([row["school"] for row in rows])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"The data file {path} cannot be read: {error}.", REINSTALL) from error
    return Admissions(features, labels, groups)
