"""A dial that disturbs production, with what the monitor says and the truth beside it."""

from __future__ import annotations

import ipywidgets

from mlops_lab import show
from mlops_lab.data import Split
from mlops_lab.monitor import KINDS, Reference, Verdict, compare, disturb, observe
from mlops_lab.predict import Predictor
from mlops_lab.widgets import fragments

SHOWN = 6


class ShiftDial(ipywidgets.VBox):  # type: ignore[misc]
    """Images under a disturbance, the monitor's verdict on them without labels, and how right the model really was.

    Attributes
    ----------
    verdict
        What the monitor says now.
    truth
        The accuracy that it does not know.

    Examples
    --------
    >>> ShiftDial(predictor, reference, dataset.test)  # doctest: +SKIP
    """

    def __init__(self, predictor: Predictor, reference: Reference, split: Split, *, size: int = 300) -> None:
        super().__init__()
        self.predictor, self.reference, self.split = predictor, reference, split.sample(size)
        self.kind = ipywidgets.Dropdown(options=KINDS, value="masks", description="Change")
        self.strength = ipywidgets.FloatSlider(
            value=0.0, min=0.0, max=1.0, step=0.1, description="Strength", continuous_update=False
        )
        self.images, self.said = ipywidgets.HTML(), ipywidgets.HTML()
        for control in (self.kind, self.strength):
            control.observe(lambda _: self.refresh(), names="value")
        self.children = [ipywidgets.HBox([self.kind, self.strength]), self.images, self.said]
        self.refresh()

    def __repr__(self) -> str:
        return f"<ShiftDial {self.kind.value} {self.strength.value:.1f}: harmful {self.verdict.harmful}>"

    def refresh(self) -> None:
        """Disturb, let the model answer, and compare."""
        shifted = disturb(self.split, self.kind.value, self.strength.value)
        window = observe(self.predictor, shifted.images)
        self.verdict: Verdict = compare(self.reference, window)
        self.truth = float((window.classes == shifted.labels).mean())
        said = [window.labels[place] for place in window.classes[:SHOWN]]
        drawn = [
            fragments.figure(
                image, f"An image after the change; the model says {label}", label, width=84, pixelated=True
            )
            for image, label in zip(shifted.images[:SHOWN], said, strict=True)
        ]
        self.images.value = fragments.side_by_side(*drawn)
        # As narrow as it must be, so that the truth stands beside it in a notebook, and below it on a phone.
        verdict = f'<div style="flex: 1 1 340px; min-width: 0">{self.verdict._repr_html_()}</div>'
        self.said.value = fragments.side_by_side(verdict, _truth(self.verdict, self.truth))


def _truth(verdict: Verdict, truth: float) -> str:
    """Return what the monitor cannot see: the accuracy, and whether its alarm was right."""
    hurts = verdict.expected - truth > 0.05
    right = verdict.harmful == hurts or (verdict.harmful and verdict.expected - truth > 0.01)
    word = "the monitor is right" if right else "the monitor is wrong"
    held = verdict.estimate.low <= truth <= verdict.estimate.high
    rows = [
        ("accuracy", f"{truth:.3f}"),
        ("lost", f"{100 * (verdict.expected - truth):.0f} points"),
        ("in the interval", "yes" if held else "no"),
    ]
    return show.card("The truth", show.state("ok" if right else "error", word), show.table(rows))


def shift(predictor: Predictor, reference: Reference, split: Split, *, size: int = 300) -> ShiftDial:
    """Return a dial on production: a kind of change, its strength, what the monitor says, and the truth.

    Parameters
    ----------
    predictor
        The version.
    reference
        From :func:`mlops_lab.monitor.find_reference`.
    split
        Images and their classes; the monitor is shown the images only.
    size
        How many of them.

    Examples
    --------
    >>> shift(predictor, reference, dataset.test)  # doctest: +SKIP
    """
    return ShiftDial(predictor, reference, split, size=size)
