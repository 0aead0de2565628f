"""The gallery: test images as buttons, filtered by class and by the predictions of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import traitlets

from mlops_lab import show
from mlops_lab.data import Dataset
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.widgets import fragments, thumbnails
from mlops_lab.widgets.selection import FILTERS, ModelPredictions, as_client, captions, classify_all, select_images

# A function that classifies every test image; it is passed a callback for the number of images done.
Classify = Callable[[Callable[[int], None]], ModelPredictions]


class Gallery(ipywidgets.VBox):  # type: ignore[misc]
    """A gallery of test images to pick from.

    Attributes
    ----------
    picked
        The index of the picked image in ``dataset.test``, or ``None``. ``observe`` it to react to a pick.
    indices
        The indices of the images on the current page.

    Examples
    --------
    >>> from mlops_lab import data
    >>> images = Gallery(data.load("digits"), count=10)
    >>> images.picked = 3
    >>> images.caption
    'Picked: test image 3, labelled 0.'
    """

    picked = traitlets.Int(None, allow_none=True)

    def __init__(
        self,
        dataset: Dataset,
        *,
        count: int = 24,
        classify: Classify | None = None,
        only: Sequence[int] | None = None,
        size: int = 56,
    ) -> None:
        if count < 1:
            raise WrongUsage(
                f"count={count}: a page of the gallery has at least one image.", "Pass a count of 1 or more."
            )
        super().__init__()
        self.dataset, self.count, self.size = dataset, count, size
        self._classify = classify
        self._predictions: ModelPredictions | None = None
        self._only = None if only is None else np.asarray(only, np.int64)
        self._page = 0
        self._name = f"lab-images-{self.model_id}"
        self._build()
        self._filter()
        self.observe(self._update_selection, "picked")

    def __repr__(self) -> str:
        return f"<Gallery {self.dataset.name}: {self.caption}>"

    @property
    def caption(self) -> str:
        """A sentence about the picked image."""
        if self.picked is None:
            return "Nothing is picked yet."
        label = self.dataset.classes[self.dataset.test.labels[self.picked]]
        return f"Picked: test image {self.picked}, labelled {label}."

    def show_only(self, indices: Sequence[int] | None) -> None:
        """Show only these images; ``None`` shows all again."""
        self._only = None if indices is None else np.asarray(indices, np.int64)
        self._filter()

    def clear_predictions(self) -> None:
        """Discard the predictions, so that the filters request new ones."""
        self._predictions = None
        self._filter()

    def _build(self) -> None:
        classes = [("every class", None), *((name, index) for index, name in enumerate(self.dataset.classes))]
        filters = [(text, name) for name, text in FILTERS.items()]
        wide = ipywidgets.Layout(width="auto")
        narrow = ipywidgets.Layout(width="40px")
        # Without an index, an option whose value is None would not be selected initially.
        self.class_filter = ipywidgets.Dropdown(options=classes, index=0, description="Class", layout=wide)
        self.prediction_filter = ipywidgets.Dropdown(options=filters, description="Show", layout=wide)
        self.back = ipywidgets.Button(description="‹", tooltip="previous images", layout=narrow)
        self.more = ipywidgets.Button(description="›", tooltip="next images", layout=narrow)
        self.range = ipywidgets.HTML()
        self.note = ipywidgets.HTML()
        self.style = ipywidgets.HTML(layout=ipywidgets.Layout(display="flex", height="0", margin="0"))
        self.buttons = ipywidgets.ToggleButtons(options=[], layout=ipywidgets.Layout(height="auto"))
        self.buttons.add_class(self._name)
        for control in (self.class_filter, self.prediction_filter):
            control.style.description_width = "initial"
            control.observe(self._filter, "value")
        self.back.on_click(lambda _: self._change_page(-1))
        self.more.on_click(lambda _: self._change_page(1))
        self.buttons.observe(self._pick, "index")
        shown = [self.class_filter, self.prediction_filter] if self._classify else [self.class_filter]
        top = ipywidgets.HBox([*shown, self.back, self.more, self.range])
        top.layout.flex_flow, top.layout.align_items = "row wrap", "center"
        self.children = [top, self.style, self.buttons, self.note]

    def _filter(self, _: Any = None) -> None:
        """Apply the filters, and show the first page."""
        if self.prediction_filter.value != "all" and self._predictions is None and not self._fetch_predictions():
            return
        labels = self.dataset.test.labels
        found = select_images(labels, self.prediction_filter.value, self.class_filter.value, self._predictions)
        if self._only is not None and self.prediction_filter.value == "all":
            found = self._only[np.isin(self._only, found)]  # in the order in which they were passed
        elif self._only is not None:
            found = found[np.isin(found, self._only)]
        self._filtered = found
        self._page = 0
        self._show()

    def _fetch_predictions(self) -> bool:
        """Classify every test image; on failure show the error, and reset the filter."""
        total = len(self.dataset.test)
        assert self._classify is not None
        try:
            self._predictions = self._classify(
                lambda done: self._show_note(f"Classified {done:,} of {total:,} images …")
            )
        except LabError as error:
            self.prediction_filter.value = "all"
            self.note.value = fragments.error_text(error)
            return False
        return True

    def _change_page(self, pages: int) -> None:
        self._page = max(0, min(self._page + pages, (len(self._filtered) - 1) // self.count))
        self._show()

    def _show(self) -> None:
        labels, classes = self.dataset.test.labels, self.dataset.classes
        start = self._page * self.count
        self.indices = self._filtered[start : start + self.count]
        texts = captions(self.indices, labels, classes, self.prediction_filter.value, self._predictions)
        self.style.value = thumbnails.stylesheet(self._name, self.dataset.test.images[self.indices], size=self.size)
        # Changing the options must not count as a pick.
        self.buttons.unobserve(self._pick, "index")
        with self.buttons.hold_trait_notifications():
            self.buttons.options = [(text, int(index)) for text, index in zip(texts, self.indices, strict=True)]
            self.buttons.tooltips = thumbnails.tooltips(texts)
        self.buttons.index = self._button_of(self.picked)
        self.buttons.observe(self._pick, "index")
        self.back.disabled = start == 0
        self.more.disabled = start + self.count >= len(self._filtered)
        self._show_range(start)

    def _show_range(self, start: int) -> None:
        last, total = start + len(self.indices), len(self._filtered)
        text = f"{start + 1:,}–{last:,} of {total:,}" if total else "no image matches"
        if self._predictions is not None:
            text += f" · test accuracy {self._predictions.accuracy(self.dataset.test.labels):.1%}"
        self.range.value = f'<span style="{show.FONT}; color: {show.MUTED}">{text}</span>'
        self._show_note(escape(self.caption))

    def _button_of(self, index: int | None) -> int | None:
        indices = self.indices.tolist()
        return indices.index(index) if index in indices else None

    def _pick(self, change: Any) -> None:
        if change["new"] is not None:
            self.picked = int(self.indices[change["new"]])

    def _update_selection(self, _: Any) -> None:
        """Select the button of an image that was picked from code, if it is on the page."""
        self.buttons.index = self._button_of(self.picked)
        self._show_note(escape(self.caption))

    def _show_note(self, html: str) -> None:
        self.note.value = f'<span style="{show.FONT}; color: {show.TEXT}">{html}</span>'


def gallery(
    dataset: Dataset, *, count: int = 24, client: Any = None, name: str = "clothes", version: int | str = "latest"
) -> Gallery:
    """Return a gallery of test images.

    Parameters
    ----------
    dataset
        From :func:`mlops_lab.data.load`.
    count
        The number of images on a page.
    client
        A client or a running server. With it, the gallery can filter by wrong and by uncertain predictions.
    name, version
        The model and its version.

    Examples
    --------
    >>> from mlops_lab import data
    >>> gallery(data.load("digits"))
    <Gallery digits: Nothing is picked yet.>
    """
    if client is None:
        return Gallery(dataset, count=count)
    connected = as_client(client)
    return Gallery(
        dataset,
        count=count,
        classify=lambda progress: classify_all(connected, name, version, dataset.test.images, progress=progress),
    )
