"""A widget as static HTML, for a page: there is no kernel that could handle a click.

The HTML is made from the state that a kernel sends to a browser. Controls are drawn in their last state, disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from mlops_lab import show
from mlops_lab.errors import WrongUsage

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"

# All models of a notebook, by their ids.
Models = Mapping[str, Mapping[str, Any]]

_CONTROL = (
    f"font: inherit; color: {show.TEXT}; background: var(--jp-layout-color2, transparent); "
    f"border: 1px solid {show.LINE}; border-radius: 4px; padding: 2px 8px"
)
_ROW = "display: flex; flex-wrap: wrap; gap: 6px 14px; align-items: center; margin: 4px 0"


def as_html(id: str, models: Models) -> str:
    """Return the widget with this id as HTML.

    Raises
    ------
    WrongUsage
        It holds a kind of control that no notebook had before.

    Examples
    --------
    >>> box = {"model_name": "VBoxModel", "state": {"children": ["IPY_MODEL_b"]}}
    >>> line = {"model_name": "HTMLModel", "state": {"value": "<b>done</b>"}}
    >>> as_html("a", {"a": box, "b": line})
    '<div class="lab-static"><div><div><b>done</b></div></div></div>'
    """
    return f'<div class="lab-static">{_draw(id, models)}</div>'


def _draw(id: str, models: Models) -> str:
    model = models[id.removeprefix("IPY_MODEL_")]
    state = model["state"]
    if _layout(state, models).get("display") == "none":
        return ""
    try:
        drawing = _DRAWINGS[model["model_name"]]
    except KeyError:
        message = f"A page cannot show a widget of the kind {model['model_name']!r}."
        raise WrongUsage(message, "Say how it is drawn in mlops_lab/course/static_widgets.py.") from None
    return drawing(state, models)


def _layout(state: Mapping[str, Any], models: Models) -> Mapping[str, Any]:
    found: Mapping[str, Any] = models.get(str(state.get("layout", "")).removeprefix("IPY_MODEL_"), {}).get("state", {})
    return found


def _children(state: Mapping[str, Any], models: Models) -> list[str]:
    return [_draw(child, models) for child in state["children"]]


def _column(state: Mapping[str, Any], models: Models) -> str:
    return f"<div>{''.join(_children(state, models))}</div>"


def _row(state: Mapping[str, Any], models: Models) -> str:
    style = _ROW.replace("center", "flex-start") if _layout(state, models).get("align_items") is None else _ROW
    return f'<div style="{style}">{"".join(_children(state, models))}</div>'


def _html(state: Mapping[str, Any], models: Models) -> str:
    return f"<div>{state['value']}</div>"


def _button(state: Mapping[str, Any], models: Models) -> str:
    title = f' title="{escape(state["tooltip"], quote=True)}"' if state.get("tooltip") else ""
    return f'<button type="button" disabled style="{_CONTROL}"{title}>{escape(state["description"])}</button>'


def _toggle_buttons(state: Mapping[str, Any], models: Models) -> str:
    """Return the buttons in the elements that ipywidgets gives them, because the widgets' own styles name these."""
    buttons = []
    for place, label in enumerate(state["_options_labels"]):
        pressed = place == state.get("index")
        kind = f'class="{"mod-active" if pressed else ""}" aria-pressed="{"true" if pressed else "false"}"'
        title = escape((state.get("tooltips") or [""] * (place + 1))[place], quote=True)
        buttons.append(f'<button type="button" disabled {kind} title="{title}">{escape(label)}</button>')
    return f'<div class="{escape(" ".join(state["_dom_classes"]))}"><div>{"".join(buttons)}</div></div>'


def _labelled(state: Mapping[str, Any], control: str) -> str:
    style = "display: inline-flex; align-items: center; gap: 6px"
    return f'<label style="{style}">{escape(state["description"])} {control}</label>'


def _choice(state: Mapping[str, Any], models: Models) -> str:
    place = state.get("index")
    chosen = state["_options_labels"][place] if place is not None else ""
    return _labelled(state, f'<select disabled style="{_CONTROL}"><option>{escape(chosen)}</option></select>')


def _field(state: Mapping[str, Any], models: Models) -> str:
    value = escape(str(state["value"]), quote=True)
    return _labelled(state, f'<input type="text" disabled value="{value}" size="9" style="{_CONTROL}">')


def _slider(state: Mapping[str, Any], models: Models) -> str:
    bounds = f'min="{state["min"]}" max="{state["max"]}" step="{state["step"]}" value="{state["value"]}"'
    return _labelled(state, f'<input type="range" disabled {bounds}> {state["value"]:g}')


def _tabs(state: Mapping[str, Any], models: Models) -> str:
    folded = []
    for place, (title, body) in enumerate(zip(state["titles"], _children(state, models), strict=True)):
        opened = " open" if place == state.get("selected_index") else ""
        folded.append(f"<details{opened}><summary>{escape(title)}</summary>{body}</details>")
    return f"<div>{''.join(folded)}</div>"


def _drawing_area(state: Mapping[str, Any], models: Models) -> str:
    style = "width: 280px; height: 280px; box-sizing: border-box; padding: 120px 30px; background: #000; color: #fff"
    return f'<div style="{style}; border-radius: 6px; text-align: center">Here you draw, in a notebook.</div>'


_DRAWINGS: dict[str, Callable[[Mapping[str, Any], Models], str]] = {
    "AnyModel": _drawing_area,
    "ButtonModel": _button,
    "ComboboxModel": _field,
    "DropdownModel": _choice,
    "FloatSliderModel": _slider,
    "HBoxModel": _row,
    "HTMLModel": _html,
    "TabModel": _tabs,
    "ToggleButtonsModel": _toggle_buttons,
    "VBoxModel": _column,
}
