"""The gallery: test images as buttons, filtered by class and by what a model says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import traitlets

from mlops_lab import show
from mlops_lab.client import Client
from mlops_lab.data import Dataset
from mlops_lab.errors import LabError, WrongUsage
from mlops_lab.widgets import faces, thumbnails
from mlops_lab.widgets.choice import KINDS, Answers, ask_all, captions, choose

Ask = Callable[[Callable[[int], None]], Answers]


class Gallery(ipywidgets.VBox):  # type: ignore[misc]
    """Images of the test split to pick from.

    Attributes
    ----------
    picked
        The place of the picked image in ``dataset.test``, or ``None``. ``observe`` it to act on a pick.
    places
        The places of the images that are shown.

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
        ask: Ask | None = None,
        only: Sequence[int] | None = None,
        size: int = 56,
    ) -> None:
        if count < 1:
            raise WrongUsage(f"A gallery of {count} images shows nothing.", "Take a count of 1 or more.")
        super().__init__()
        self.dataset, self.count, self.size = dataset, count, size
        self._ask = ask
        self._answers: Answers | None = None
        self._only = None if only is None else np.asarray(only, np.int64)
        self._page = 0
        self._name = f"lab-images-{self.model_id}"
        self._build()
        self._filter()
        self.observe(self._mark, "picked")

    def __repr__(self) -> str:
        return f"<Gallery {self.dataset.name}: {self.caption}>"

    @property
    def caption(self) -> str:
        """What is picked, in words."""
        if self.picked is None:
            return "Nothing is picked yet."
        label = self.dataset.classes[self.dataset.test.labels[self.picked]]
        return f"Picked: test image {self.picked}, labelled {label}."

    def show_only(self, places: Sequence[int] | None) -> None:
        """Show these images and no others; ``None`` shows all again."""
        self._only = None if places is None else np.asarray(places, np.int64)
        self._filter()

    def forget(self) -> None:
        """Forget what the model said, so that the filters ask it again."""
        self._answers = None
        self._filter()

    def _build(self) -> None:
        classes = [("every class", None), *((name, place) for place, name in enumerate(self.dataset.classes))]
        kinds = [(words, kind) for kind, words in KINDS.items()]
        wide = ipywidgets.Layout(width="auto")
        narrow = ipywidgets.Layout(width="40px")
        # Without an index, an option whose value is None would not be chosen at first.
        self.of_class = ipywidgets.Dropdown(options=classes, index=0, description="Class", layout=wide)
        self.kind = ipywidgets.Dropdown(options=kinds, description="Show", layout=wide)
        self.back = ipywidgets.Button(description="‹", tooltip="the images before these", layout=narrow)
        self.more = ipywidgets.Button(description="›", tooltip="more images", layout=narrow)
        self.range = ipywidgets.HTML()
        self.note = ipywidgets.HTML()
        self.style = ipywidgets.HTML(layout=ipywidgets.Layout(display="flex", height="0", margin="0"))
        self.buttons = ipywidgets.ToggleButtons(options=[], layout=ipywidgets.Layout(height="auto"))
        self.buttons.add_class(self._name)
        for control in (self.of_class, self.kind):
            control.style.description_width = "initial"
            control.observe(self._filter, "value")
        self.back.on_click(lambda _: self._turn(-1))
        self.more.on_click(lambda _: self._turn(1))
        self.buttons.observe(self._pick, "index")
        filters = [self.of_class, self.kind] if self._ask else [self.of_class]
        top = ipywidgets.HBox([*filters, self.back, self.more, self.range])
        top.layout.flex_flow, top.layout.align_items = "row wrap", "center"
        self.children = [top, self.style, self.buttons, self.note]

    def _filter(self, _: Any = None) -> None:
        """Choose anew, and begin at the first page."""
        if self.kind.value != "all" and self._answers is None and not self._had_answers():
            return
        labels = self.dataset.test.labels
        chosen = choose(labels, self.kind.value, self.of_class.value, self._answers)
        if self._only is not None and self.kind.value == "all":
            chosen = self._only[np.isin(self._only, chosen)]  # in the order they were given
        elif self._only is not None:
            chosen = chosen[np.isin(chosen, self._only)]
        self._chosen = chosen
        self._page = 0
        self._show()

    def _had_answers(self) -> bool:
        """Ask the model about every image; on failure say why, and filter no more."""
        total = len(self.dataset.test)
        assert self._ask is not None
        try:
            self._answers = self._ask(lambda done: self._say(f"Asking the server: {done:,} of {total:,} images …"))
        except LabError as error:
            self.kind.value = "all"
            self.note.value = faces.problem(error)
            return False
        return True

    def _turn(self, pages: int) -> None:
        self._page = max(0, min(self._page + pages, (len(self._chosen) - 1) // self.count))
        self._show()

    def _show(self) -> None:
        labels, classes = self.dataset.test.labels, self.dataset.classes
        start = self._page * self.count
        self.places = self._chosen[start : start + self.count]
        words = captions(self.places, labels, classes, self.kind.value, self._answers)
        self.style.value = thumbnails.stylesheet(self._name, self.dataset.test.images[self.places], size=self.size)
        # While the options change there is no pick to hear of.
        self.buttons.unobserve(self._pick, "index")
        with self.buttons.hold_trait_notifications():
            self.buttons.options = [(word, int(place)) for word, place in zip(words, self.places, strict=True)]
            self.buttons.tooltips = thumbnails.tooltips(words)
        self.buttons.index = self._index(self.picked)
        self.buttons.observe(self._pick, "index")
        self.back.disabled = start == 0
        self.more.disabled = start + self.count >= len(self._chosen)
        self._say_range(start)

    def _say_range(self, start: int) -> None:
        last, total = start + len(self.places), len(self._chosen)
        text = f"{start + 1:,}–{last:,} of {total:,}" if total else "no image is like that"
        if self._answers is not None:
            text += f" · the model is right about {self._answers.accuracy(self.dataset.test.labels):.1%} of the test"
        self.range.value = f'<span style="{show.FONT}; color: {show.MUTED}">{text}</span>'
        self._say(escape(self.caption))

    def _index(self, place: int | None) -> int | None:
        places = self.places.tolist()
        return places.index(place) if place in places else None

    def _pick(self, change: Any) -> None:
        if change["new"] is not None:
            self.picked = int(self.places[change["new"]])

    def _mark(self, _: Any) -> None:
        """Show a pick that was made from code on its button, where it is on the page."""
        self.buttons.index = self._index(self.picked)
        self._say(escape(self.caption))

    def _say(self, html: str) -> None:
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
        Images on a page.
    client
        A client or a running server. With it, the gallery can show what the model gets wrong or is unsure about.
    name, version
        The model to ask.

    Examples
    --------
    >>> from mlops_lab import data
    >>> gallery(data.load("digits"))
    <Gallery digits: Nothing is picked yet.>
    """
    if client is None:
        return Gallery(dataset, count=count)
    asked = client if isinstance(client, Client) else Client(client)
    return Gallery(
        dataset,
        count=count,
        ask=lambda progress: ask_all(asked, name, version, dataset.test.images, progress=progress),
    )
