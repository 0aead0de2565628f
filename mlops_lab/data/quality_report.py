"""The report of a data check: one finding for each check, with the images that it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.findings import ICONS, Finding
from mlops_lab.image import encode_png

MOST_NAMED = 100
MOST_DRAWN = 8


@dataclass(frozen=True, eq=False)
class DataFinding(Finding):
    """The result of one check of a data set, with the images that it is about.

    Parameters
    ----------
    images
        The names of the images, such as ``"train[417]"`` or the path of a file; the first hundred of them.
    count
        Number of images that the finding is about.
    samples
        A few of the images, for drawing.

    Examples
    --------
    >>> found = DataFinding(False, "One image is not finite.", name="finite", images=("test[3]",), count=1)
    >>> found.to_dict()["images"]
    ['test[3]']
    """

    images: tuple[str, ...] = ()
    count: int = 0
    samples: tuple[NDArray[Any], ...] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain values, without pixels."""
        kept = {key: getattr(self, key) for key in ("state", "passed", "name", "message", "hint", "severity")}
        return {**kept, "images": list(self.images), "count": self.count}

    def _repr_html_(self) -> str:
        return show.card(self.name, show.state(ICONS[self.state], self.state), *self._parts())

    def _parts(self) -> list[str]:
        hint = f"→ {escape(self.hint)}" if self.hint else ""
        return [escape(self.message), hint, self.draw()]

    def draw(self) -> str:
        """Return the samples as a row of images, each with its name under it."""
        cells = []
        for name, pixels in zip(self.images, self.samples, strict=False):
            drawn = show.image(encode_png(drawable(pixels)), f"The image {name}", width=56, pixelated=True)
            style = f"margin: 0; width: 76px; text-align: center; font-size: 11px; color: {show.MUTED}"
            cells.append(f'<figure style="{style}">{drawn}<figcaption>{escape(name)}</figcaption></figure>')
        return f'<div style="display: flex; flex-wrap: wrap; gap: 6px">{"".join(cells)}</div>' if cells else ""


@dataclass(frozen=True, eq=False)
class DataReport:
    """The checks of one data set, in order.

    Parameters
    ----------
    name
        Name of the data set, or the folder that was read.
    counts
        Number of images in each split.
    findings
        The result of each check.

    Examples
    --------
    >>> DataReport("mine", {"train": 0}, (DataFinding(False, "It is empty.", name="count"),)).summary
    '0 of 1 checks passed; failed: count'
    """

    name: str
    counts: dict[str, int]
    findings: tuple[DataFinding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings do not fail the report."""
        return not self.failed

    @property
    def failed(self) -> tuple[DataFinding, ...]:
        """The checks that failed."""
        return tuple(finding for finding in self.findings if finding.state == "failed")

    @property
    def problems(self) -> tuple[str, ...]:
        """The names of the checks that did not pass, warnings included."""
        return tuple(finding.name for finding in self.findings if finding.passed is False)

    @property
    def summary(self) -> str:
        """One line: how many checks passed, and which did not."""
        ran = [finding for finding in self.findings if finding.passed is not None]
        text = f"{sum(bool(finding.passed) for finding in ran)} of {len(ran)} checks passed"
        named = {state: ", ".join(f.name for f in self.findings if f.state == state) for state in ("failed", "warning")}
        return "; ".join([text, *(f"{state}: {names}" for state, names in named.items() if names)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        findings = [finding.to_dict() for finding in self.findings]
        kept = {"name": self.name, "counts": dict(self.counts)}
        return {"passed": self.passed, "summary": self.summary, **kept, "findings": findings}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary}>"

    def __str__(self) -> str:
        return "\n".join([f"Data {self.name}", *(f"  {finding}" for finding in self.findings), self.summary])

    def _repr_html_(self) -> str:
        sizes = ", ".join(f"{count:,} in {part}" for part, count in self.counts.items())
        state = "error" if self.failed else "warning" if self.problems else "ok"
        rows = [
            (show.Html(show.state(ICONS[one.state], one.state)), one.name, show.Html(_stacked(one)))
            for one in self.findings
        ]
        table = show.table(rows, ("state", "check", "what was seen"))
        return show.card(f"Data {self.name}: {sizes}", show.state(state, self.summary), table)


def _stacked(finding: DataFinding) -> str:
    return "".join(f"<div>{part}</div>" for part in finding._parts() if part)


def drawable(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return whatever an image holds as pixels that can be drawn: what is not finite is black, the rest is clipped.

    Examples
    --------
    >>> drawable(np.array([[np.nan, -5.0, 300.0]])).tolist()
    [[0, 0, 255]]
    """
    array = np.nan_to_num(np.asarray(pixels, dtype=np.float64), nan=0, posinf=255, neginf=0)
    if array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 1:
        array = array[np.newaxis]
    if array.max(initial=0) <= 1 and (array % 1).any():
        array = array * 255
    return np.clip(np.rint(array), 0, 255).astype(np.uint8)
