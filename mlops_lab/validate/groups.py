"""A metric by group, and how far the groups lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from mlops_lab import show
from mlops_lab.findings import Finding
from mlops_lab.validate import drawing
from mlops_lab.validate.intervals import Interval


@dataclass(frozen=True)
class GroupValue:
    """A metric of one group.

    Parameters
    ----------
    name
        The group.
    count
        Number of examples in it.
    value, interval
        The metric, unrounded, and its 95% interval.
    ranked
        Whether it is compared with the others; false where it is too small to say anything.
    """

    name: str
    count: int
    value: float
    interval: Interval
    ranked: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, unrounded."""
        kept = {"value": self.value, "count": self.count, "ranked": self.ranked}
        return {**kept, "interval": list(self.interval)}

    def __str__(self) -> str:
        low, high = self.interval
        small = "" if self.ranked else ", too small to be compared"
        return f"{self.name}: {self.value:.4f} ({low:.4f} to {high:.4f}) of {self.count:,}{small}"

    def _repr_html_(self) -> str:
        return show.card(self.name, escape(str(self)))


@dataclass(frozen=True)
class GroupReport:
    """A metric by group: the value of each, the largest difference and the lowest ratio between any two.

    Parameters
    ----------
    metric, overall
        The metric, and its value over everybody.
    groups
        The value of each group, in the order of their names.
    difference, difference_interval
        The highest value less the lowest, of the groups that are large enough, with its 95% interval by bootstrap.
    ratio, ratio_interval
        The lowest value divided by the highest.
    attribute
        What the groups are made by, where it is known.

    Examples
    --------
    >>> from mlops_lab.validate.fairness import by_group
    >>> report = by_group("accuracy", [1, 1, 0, 0] * 30, [1, 1, 0, 1] * 30, ["a", "a", "b", "b"] * 30)
    >>> report.values, report.difference
    ({'a': 1.0, 'b': 0.5}, 0.5)
    """

    metric: str
    overall: float
    groups: tuple[GroupValue, ...]
    difference: float
    difference_interval: Interval
    ratio: float
    ratio_interval: Interval
    attribute: str = ""

    @property
    def values(self) -> dict[str, float]:
        """The value of each group."""
        return {group.name: group.value for group in self.groups}

    @property
    def ranked(self) -> tuple[GroupValue, ...]:
        """The groups that are large enough to be compared, lowest value first."""
        return tuple(sorted((group for group in self.groups if group.ranked), key=lambda group: group.value))

    @property
    def summary(self) -> str:
        """One line: the lowest and the highest group."""
        ranked, over = self.ranked, f"{self.metric}{f' by {self.attribute}' if self.attribute else ''}"
        if len(ranked) < 2:
            return f"{over}: {len(ranked)} of {len(self.groups)} groups are large enough to be compared"
        low, high = ranked[0], ranked[-1]
        return f"{over}: {low.value:.3f} for {low.name}, {high.value:.3f} for {high.name}; overall {self.overall:.3f}"

    def check(self, *, max_difference: float = 1.0, min_ratio: float = 0.0) -> Finding:
        """Hold the groups against thresholds.

        Parameters
        ----------
        max_difference
            The largest accepted difference between two groups.
        min_ratio
            The lowest accepted ratio of two groups: 0.8 is the four-fifths rule of US law.
        """
        name = f"groups by {self.attribute}" if self.attribute else "groups"
        if len(self.ranked) < 2:
            return Finding(None, f"{self.summary}.", "Collect more of the small groups.", name=name)
        if self.difference > max_difference:
            over = f"the difference of {self.difference:.3f} exceeds {max_difference:g}"
        elif self.ratio < min_ratio:
            over = f"the ratio of {self.ratio:.3f} is below {min_ratio:g}"
        else:
            return Finding(
                True, f"{self.summary}; difference {self.difference:.3f}, ratio {self.ratio:.3f}.", name=name
            )
        hint = f"Look at {self.ranked[0].name}: collect more of it, or mitigate."
        return Finding(False, f"{self.summary}: {over}.", hint, name=name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, unrounded."""
        figures = {"overall": self.overall, "difference": self.difference, "ratio": self.ratio}
        intervals = {"difference_interval": self.difference_interval, "ratio_interval": self.ratio_interval}
        groups = {group.name: group.to_dict() for group in self.groups}
        kept = {"metric": self.metric, "attribute": self.attribute, **figures}
        return kept | {key: list(value) for key, value in intervals.items()} | {"groups": groups}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def __str__(self) -> str:
        last = f"  difference {self.difference:.4f}, ratio {self.ratio:.4f}"
        return "\n".join([self.summary, *(f"  {group}" for group in self.groups), last])

    def draw(self) -> str:
        """Return the groups as SVG, each with its interval."""
        rows = [(group.name, group.value, group.interval, group.ranked) for group in self.groups]
        return drawing.ranges(rows, f"{self.summary}. Lines are 95% intervals; hollow dots are groups too small.")

    def _repr_html_(self) -> str:
        low, high = self.difference_interval
        words = f"difference {self.difference:.3f} ({low:.3f} to {high:.3f}), ratio {self.ratio:.3f}"
        counts = ", ".join(f"{group.name}: {group.count:,}" for group in self.groups)
        small = f'<span style="color: {show.MUTED}">{escape(counts)}</span>'
        title = f"{self.metric} by {self.attribute or 'group'}"
        return show.card(title, escape(self.summary), escape(words), self.draw(), small)
