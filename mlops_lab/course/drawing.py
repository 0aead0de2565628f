"""The life cycle of a model as a drawing whose stages open, for the beginning of each notebook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from mlops_lab import show
from mlops_lab.errors import NotFound, nearest

# What happens in each stage, and what of it was automated before there were models to automate.
STAGES = {
    "data": "Collect labelled images, look at them, prepare their pixels once and everywhere the same, and split them.",
    "train": "Build a network, train it so that it can be repeated, and choose settings without fooling yourself.",
    "store": "Save versions that load elsewhere, are safe to load, and are never half there.",
    "serve": "Wrap the model in a server, so that any program in any language can ask it. DevOps: build and integrate.",
    "validate": "Measure it, for everybody and under load, and test it as a program is tested. DevOps: run the tests.",
    "deploy": "Package the server, start it in a test environment, test it there, then in production. DevOps: deploy.",
    "monitor": "Record what the model sees, tell drift from chance, and decide when to collect and train again.",
    "grade": "Stand outside the circle: check the work of others, attack and defend a server, deliver a whole life.",
}
NOTEBOOKS = {stage: f"{number:02}_{stage}" for number, stage in enumerate(STAGES, start=1)}
WIDTH, BOX, STEP, TOP = 730, 80, 92, 46  # pixels


@dataclass(frozen=True)
class Lifecycle:
    """The eight stages, of which one is marked.

    Attributes
    ----------
    stage
        The marked one.
    """

    stage: str

    @property
    def alt(self) -> str:
        """The drawing in words."""
        circle, number = ", ".join(list(STAGES)[:7]), list(STAGES).index(self.stage) + 1
        return (
            f"The life cycle of a model: {circle}, and from there back to data; grade stands beside it. DevOps "
            f"automates serve to monitor, MLOps the whole circle. This notebook is stage {number}, {self.stage}."
        )

    def __repr__(self) -> str:
        return self.alt

    def to_dict(self) -> dict[str, Any]:
        """Return the stage as plain values."""
        return {"stage": self.stage, "alt": self.alt}

    def _repr_html_(self) -> str:
        boxes = "".join(self._box(number, stage) for number, stage in enumerate(STAGES))
        frame = f"position: relative; width: {WIDTH}px; height: 216px; {show.FONT}; color: {show.TEXT}"
        return f'<div style="overflow-x: auto"><div style="{frame}">{self._lines()}{boxes}</div></div>'

    def _box(self, number: int, stage: str) -> str:
        here = stage == self.stage
        line = f"2px solid {show.BAR}" if here else f"1px solid {show.LINE}"
        place = f"position: absolute; left: {STEP * number}px; top: {TOP}px; width: {BOX}px; height: 40px"
        box = f"box-sizing: border-box; border: {line}; border-radius: 6px; padding: 2px; line-height: 17px"
        head = "text-align: center; cursor: pointer; list-style: none; display: block"
        weight = "font-weight: 700" if here else "font-weight: 400"
        panel = (
            "position: absolute; left: 0; top: 156px; box-sizing: border-box; height: 58px; padding: 8px 10px; "
            f"width: {WIDTH - 6}px; border-left: 3px solid {show.BAR}; "
            "background: var(--jp-layout-color1, var(--color-background-primary, transparent))"
        )
        mark = "you are here" if here else f"stage {number + 1}"
        link = f'<a href="{NOTEBOOKS[stage]}.ipynb">Open notebook {NOTEBOOKS[stage]}</a>'
        return (
            f'<details name="stage"{" open" if here else ""}>'
            f'<summary style="{place}; {box}; {weight}; {head}">{stage}<br>'
            f'<span style="font-size: 11px; font-weight: 400">{mark}</span></summary>'
            f'<div style="{panel}"><b>{number + 1} {stage}.</b> {escape(STAGES[stage])} {link}</div></details>'
        )

    def _lines(self) -> str:
        middle, last = TOP + 20, STEP * 6 + BOX // 2
        arrows = "".join(_arrow(STEP * place + BOX, STEP * (place + 1), middle) for place in range(6))
        back = f"M {last} {TOP} C {last} 4, {BOX // 2} 4, {BOX // 2} {TOP - 2}"
        head = f"{BOX // 2 - 4},{TOP - 8} {BOX // 2},{TOP - 1} {BOX // 2 + 4},{TOP - 8}"
        return (
            f'<svg role="img" aria-label="{escape(self.alt, quote=True)}" width="{WIDTH}" height="152" '
            f'style="position: absolute; left: 0; top: 0; overflow: visible" fill="none" stroke="{show.MUTED}">'
            f'{arrows}<path d="{back}"/><polygon points="{head}" fill="{show.MUTED}"/>'
            f"{_word(STEP * 3 + BOX // 2, 11, 'the world changes: collect and train again')}"
            f"{_band(STEP * 3, STEP * 6 + BOX, 104, 'DevOps (2009): build, test, integrate, deploy and run software')}"
            f"{_band(0, STEP * 6 + BOX, 136, 'MLOps: the same for models, and data, training and drift besides')}</svg>"
        )


def lifecycle(stage: str) -> Lifecycle:
    """Draw the life cycle, with one stage marked.

    Parameters
    ----------
    stage
        ``"data"``, ``"train"``, ``"store"``, ``"serve"``, ``"validate"``, ``"deploy"``, ``"monitor"`` or ``"grade"``.

    Raises
    ------
    NotFound
        There is no such stage.

    Examples
    --------
    >>> lifecycle("data").alt.endswith("This notebook is stage 1, data.")
    True
    """
    if stage not in STAGES:
        raise NotFound(f"There is no stage {stage!r}.", nearest(stage, STAGES))
    return Lifecycle(stage)


def _arrow(left: int, right: int, y: int) -> str:
    end = right - 2
    return (
        f'<path d="M {left} {y} H {end}"/>'
        f'<polygon points="{end - 5},{y - 4} {end},{y} {end - 5},{y + 4}" fill="{show.MUTED}"/>'
    )


def _band(left: int, right: int, y: int, text: str) -> str:
    return f'<path d="M {left} {y - 5} V {y} H {right} V {y - 5}"/>{_word((left + right) // 2, y + 15, text)}'


def _word(x: int, y: int, text: str) -> str:
    style = 'stroke="none" fill="currentColor" font-size="12" text-anchor="middle"'
    return f'<text x="{x}" y="{y}" {style}>{escape(text)}</text>'
