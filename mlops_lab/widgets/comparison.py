"""The predictions of two versions or models for the same image, side by side."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets

from mlops_lab import show
from mlops_lab.client import Client
from mlops_lab.data import Dataset
from mlops_lab.errors import LabError
from mlops_lab.widgets import fragments
from mlops_lab.widgets.image_gallery import Gallery
from mlops_lab.widgets.selection import ModelPredictions, as_client, classify_all, disagreements


class Compare(ipywidgets.VBox):  # type: ignore[misc]
    """A gallery, and the predictions of two versions for the picked image.

    Attributes
    ----------
    gallery
        The images to pick from.
    sides
        The two pairs (name, version).

    Examples
    --------
    >>> Compare(serve.Client(server), dataset, ("clothes", "v1"), ("clothes", "v2"))  # doctest: +SKIP
    """

    def __init__(
        self, client: Client, dataset: Dataset, left: tuple[str, str], right: tuple[str, str], *, count: int = 16
    ) -> None:
        super().__init__()
        self.client, self.dataset, self.sides = client, dataset, (left, right)
        self._predictions: list[ModelPredictions] | None = None
        self.gallery = Gallery(dataset, count=count)
        self.only = ipywidgets.Checkbox(description="only where they disagree", indent=False)
        self.result = ipywidgets.HTML()
        self.result.add_class("lab-result")
        self.children = [self.gallery, self.only, self.result]
        self.only.observe(self._filter, "value")
        self.gallery.observe(self._show, "picked")
        self.gallery.picked = int(self.gallery.indices[0])

    def __repr__(self) -> str:
        left, right = (" ".join(side) for side in self.sides)
        return f"<Compare {left} with {right} at {self.client.url}>"

    def _filter(self, _: Any) -> None:
        if not self.only.value:
            self.gallery.show_only(None)
            return
        images = self.dataset.test.images
        try:
            if self._predictions is None:
                self._predictions = [classify_all(self.client, *side, images) for side in self.sides]
        except LabError as error:
            self.only.value = False
            self.result.value = fragments.error_text(error)
            return
        self.gallery.show_only(disagreements(*self._predictions).tolist())

    def _show(self, _: Any) -> None:
        picked = self.gallery.picked
        image, label = self.dataset.test.images[picked], self.dataset.test.labels[picked]
        truth = self.dataset.classes[label]
        parts = [fragments.column("The image", fragments.figure(image, f"Test image {picked}", truth, pixelated=True))]
        parts += [self._column(side, image, truth) for side in self.sides]
        self.result.value = fragments.side_by_side(*parts)

    def _column(self, side: tuple[str, str], image: Any, truth: str) -> str:
        title = f'<div style="color: {show.MUTED}">{escape(" ".join(side))}</div>'
        try:
            answer = self.client.classify(*side, image)
        except LabError as error:
            return f"<div>{title}{fragments.error_text(error)}</div>"
        return f"<div>{title}{fragments.prediction_bars(answer[0], truth)}</div>"


def compare(
    server: Any,
    dataset: Dataset,
    left: tuple[str, str] = ("clothes", "v1"),
    right: tuple[str, str] = ("clothes", "v2"),
    *,
    count: int = 16,
) -> Compare:
    """Return a widget that compares two versions or models on the same images.

    Parameters
    ----------
    server
        A running server, its URL, or a client.
    dataset
        The data set whose test images are shown.
    left, right
        The name and version of each side.
    count
        The number of images on a page.

    Examples
    --------
    >>> compare(server, dataset, ("clothes", "production"), ("clothes", "staging"))  # doctest: +SKIP
    """
    client = as_client(server)
    return Compare(client, dataset, left, right, count=count)
