"""The confusion matrix; each cell opens its images."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets
import numpy as np
from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.data import Dataset
from mlops_lab.widgets import fragments
from mlops_lab.widgets.image_gallery import Gallery
from mlops_lab.widgets.selection import ModelPredictions, as_client, classify_all, confusion_counts

CELL, GAP, NAMES = 48, 2, 92  # pixels


class Confusion(ipywidgets.VBox):  # type: ignore[misc]
    """A confusion matrix whose cells open their images.

    Attributes
    ----------
    counts
        ``counts[row, column]``: the number of images of class ``row`` that were classified as ``column``.
    gallery
        The images of the selected cell.

    Examples
    --------
    >>> from mlops_lab import data
    >>> digits = data.load("digits")
    >>> correct = ModelPredictions(digits.test.labels, np.ones(len(digits.test)))
    >>> Confusion(digits, correct)
    <Confusion digits: 359 of 359 correct>
    """

    def __init__(self, dataset: Dataset, predictions: ModelPredictions, *, count: int = 16) -> None:
        super().__init__()
        self.dataset, self.predictions = dataset, predictions
        self.counts = confusion_counts(dataset.test.labels, predictions.predicted, len(dataset.classes))
        self._name = f"lab-matrix-{self.model_id}"
        self.style = ipywidgets.HTML(layout=ipywidgets.Layout(height="0", margin="0"))
        self.buttons = ipywidgets.ToggleButtons(
            options=[(str(number), cell) for cell, number in enumerate(self.counts.ravel().tolist())],
            tooltips=[self.describe(*divmod(cell, len(dataset.classes))) for cell in range(self.counts.size)],
            index=None,
        )
        self.buttons.add_class(self._name)
        self.note = ipywidgets.HTML(fragments.muted("Select a number to see its images."))
        self.gallery = Gallery(dataset, count=count, only=[])
        self.gallery.layout.display = "none"
        self.buttons.observe(self._open, "index")
        rows = ipywidgets.HTML(row_names(dataset.classes))
        grid = ipywidgets.HBox([rows, ipywidgets.VBox([ipywidgets.HTML(column_names(dataset.classes)), self.buttons])])
        self.style.value = grid_style(self._name, self.counts)
        self.children = [self.style, grid, self.note, self.gallery]

    def __repr__(self) -> str:
        return f"<Confusion {self.dataset.name}: {np.trace(self.counts)} of {self.counts.sum()} correct>"

    def describe(self, row: int, column: int) -> str:
        """Return the text of one cell."""
        actual, predicted = self.dataset.classes[row], self.dataset.classes[column]
        number = int(self.counts[row, column])
        images = f"{number} image{'' if number == 1 else 's'} labelled {actual}"
        return f"{images}: correctly classified" if row == column else f"{images}: classified as {predicted}"

    def _open(self, change: Any) -> None:
        if change["new"] is None:
            return
        row, column = divmod(change["new"], len(self.dataset.classes))
        found = np.flatnonzero((self.dataset.test.labels == row) & (self.predictions.predicted == column))
        by_confidence = found[np.argsort(-self.predictions.confidence[found], kind="stable")]
        self.gallery.layout.display = None
        self.gallery.show_only(by_confidence.tolist())
        self.style.value = grid_style(self._name, self.counts, change["new"])
        self.note.value = f'<span style="{show.FONT}; color: {show.TEXT}">{escape(self.describe(row, column))}</span>'


def grid_style(name: str, counts: NDArray[np.int64], selected: int | None = None) -> str:
    """Return a ``<style>`` that arranges the buttons as a matrix, darker where a cell has a larger share of its row.

    Examples
    --------
    >>> "grid-template-columns: repeat(2, 48px)" in grid_style("some", np.eye(2, dtype=np.int64))
    True
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = []
    for cell, share in enumerate(shares.ravel().tolist()):
        correct = cell % (len(counts) + 1) == 0
        colour = "46, 125, 50" if correct else "198, 40, 40"
        # A square root, so that rare errors are visible beside the many correct predictions.
        cells.append(f".{name} button:nth-child({cell + 1}) {{background: rgba({colour}, {0.75 * share**0.5:.2f})}}")
    if selected is not None:
        border = f"outline: 3px solid {show.BAR}; outline-offset: -1px; font-weight: 700"
        cells.append(f".{name} button:nth-child({selected + 1}) {{{border}}}")
    lines = "\n".join(cells)
    return f"""<style>
.{name} {{height: auto; max-height: none; overflow: visible; margin: 0}}
.{name} > div {{display: grid; grid-template-columns: repeat({len(counts)}, {CELL}px); gap: {GAP}px; padding: 3px}}
.{name} button {{width: {CELL}px; height: 28px; margin: 0; padding: 0; line-height: 28px; font-size: 12px;
  color: var(--jp-content-font-color1, inherit); box-shadow: none; border-radius: 3px}}
.{name} button:focus-visible {{outline: 2px solid {show.BAR}}}
{lines}</style>"""


def column_names(classes: tuple[str, ...]) -> str:
    """Return the column headings: the predicted classes."""
    style = f"width: {CELL}px; overflow-wrap: anywhere; text-align: center; align-self: end; flex: none"
    # A long name breaks after its slash, and never after its hyphen.
    names = [name.replace("-", "\N{NON-BREAKING HYPHEN}").replace("/", "/\N{ZERO WIDTH SPACE}") for name in classes]
    heads = "".join(f'<div style="{style}">{escape(name)}</div>' for name in names)
    return (
        f'<div style="{show.FONT}; color: {show.TEXT}; line-height: 1.2"><div style="color: {show.MUTED}">'
        f"predicted →</div>"
        f'<div style="display: flex; gap: {GAP}px; height: 32px; padding: 0 3px; font-size: 11px">{heads}</div></div>'
    )


def row_names(classes: tuple[str, ...]) -> str:
    """Return the row headings: the labels."""
    style = f"height: 28px; line-height: 28px; margin-bottom: {GAP}px; text-align: right; white-space: nowrap"
    heads = "".join(f'<div style="{style}">{escape(name)}</div>' for name in classes)
    return (
        f'<div style="{show.FONT}; color: {show.TEXT}; width: {NAMES}px; font-size: 12px"><div style="height: 53px; '
        f'color: {show.MUTED}; display: flex; align-items: end; justify-content: end">labelled ↓</div>{heads}</div>'
    )


def confusion(
    server: Any, dataset: Dataset, name: str = "clothes", version: int | str = "latest", *, count: int = 16
) -> Confusion:
    """Classify every test image on a server, and return the confusion matrix.

    Parameters
    ----------
    server
        A running server, its URL, or a client.
    dataset
        The data set whose test images are classified.
    name, version
        The model and its version.
    count
        The number of images on a page of the gallery that a cell opens.

    Examples
    --------
    >>> confusion(server, dataset, "clothes", "v1")  # doctest: +SKIP
    <Confusion fashion-mnist: 9081 of 10000 correct>
    """
    client = as_client(server)
    return Confusion(dataset, classify_all(client, name, version, dataset.test.images), count=count)
