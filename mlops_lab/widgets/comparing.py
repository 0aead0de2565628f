"""Two versions, or two models, side by side on the same image."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets

from mlops_lab import show
from mlops_lab.client import Client
from mlops_lab.data import Dataset
from mlops_lab.errors import LabError
from mlops_lab.widgets import faces
from mlops_lab.widgets.choice import Answers, ask_all, disagreements
from mlops_lab.widgets.picking import Gallery


class Compare(ipywidgets.VBox):  # type: ignore[misc]
    """Pick an image and see what two versions say about it.

    Attributes
    ----------
    gallery
        Where to pick.
    sides
        The two (name, version) that are asked.

    Examples
    --------
    >>> Compare(serve.Client(server), dataset, ("clothes", "v1"), ("clothes", "v2"))  # doctest: +SKIP
    """

    def __init__(
        self, client: Client, dataset: Dataset, left: tuple[str, str], right: tuple[str, str], *, count: int = 16
    ) -> None:
        super().__init__()
        self.client, self.dataset, self.sides = client, dataset, (left, right)
        self._said: list[Answers] | None = None
        self.gallery = Gallery(dataset, count=count)
        self.only = ipywidgets.Checkbox(description="only where they disagree", indent=False)
        self.result = ipywidgets.HTML()
        self.result.add_class("lab-result")
        self.children = [self.gallery, self.only, self.result]
        self.only.observe(self._filter, "value")
        self.gallery.observe(self._show, "picked")
        self.gallery.picked = int(self.gallery.places[0])

    def __repr__(self) -> str:
        left, right = (" ".join(side) for side in self.sides)
        return f"<Compare {left} with {right} at {self.client.url}>"

    def _filter(self, _: Any) -> None:
        if not self.only.value:
            self.gallery.show_only(None)
            return
        images = self.dataset.test.images
        try:
            if self._said is None:
                self._said = [ask_all(self.client, *side, images) for side in self.sides]
        except LabError as error:
            self.only.value = False
            self.result.value = faces.problem(error)
            return
        self.gallery.show_only(disagreements(*self._said).tolist())

    def _show(self, _: Any) -> None:
        picked = self.gallery.picked
        image, label = self.dataset.test.images[picked], self.dataset.test.labels[picked]
        truth = self.dataset.classes[label]
        parts = [faces.column("The image", faces.figure(image, f"Test image {picked}", truth, pixelated=True))]
        parts += [self._column(side, image, truth) for side in self.sides]
        self.result.value = faces.side_by_side(*parts)

    def _column(self, side: tuple[str, str], image: Any, truth: str) -> str:
        title = f'<div style="color: {show.MUTED}">{escape(" ".join(side))}</div>'
        try:
            answer = self.client.classify(*side, image)
        except LabError as error:
            return f"<div>{title}{faces.problem(error)}</div>"
        return f"<div>{title}{faces.said(answer[0], truth)}</div>"


def compare(
    server: Any,
    dataset: Dataset,
    left: tuple[str, str] = ("clothes", "v1"),
    right: tuple[str, str] = ("clothes", "v2"),
    *,
    count: int = 16,
) -> Compare:
    """Return two versions, or two models, side by side on the same images.

    Parameters
    ----------
    server
        A running server, its address, or a client.
    dataset
        Whose test images to show.
    left, right
        The name and version of each side.
    count
        Images on a page.

    Examples
    --------
    >>> compare(server, dataset, ("clothes", "production"), ("clothes", "staging"))  # doctest: +SKIP
    """
    client = server if isinstance(server, Client) else Client(server)
    return Compare(client, dataset, left, right, count=count)
