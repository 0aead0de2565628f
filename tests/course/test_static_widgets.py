"""Widgets of the package as static HTML."""

import re

import ipywidgets
import numpy as np
import pytest
from ipywidgets.embed import dependency_state

from mlops_lab import widgets
from mlops_lab.course import static_widgets
from mlops_lab.errors import WrongUsage
from mlops_lab.widgets.confusion_matrix import Confusion
from mlops_lab.widgets.selection import ModelPredictions


def drawn(widget):
    """Return a widget as a page shows it, by the state that a browser would get."""
    return static_widgets.as_html(widget.model_id, dependency_state([widget], drop_defaults=False))


def test_a_gallery_shows_its_images_and_takes_no_clicks(digits):
    gallery = widgets.gallery(digits, count=6)
    gallery.picked = 2
    html = drawn(gallery)
    assert html.count("<button") == html.count("disabled ") - html.count("<select disabled") == 8  # two turn pages
    assert len(re.findall(r">#\d \d</button>", html)) == 6 and html.count('aria-pressed="true"') == 1
    assert "data:image/png" in html and f'class="{gallery._name}' in html and "<script" not in html
    assert "<option>every class</option>" in html and "1–6 of 359" in html


def test_a_confusion_matrix_is_whole_and_its_hidden_gallery_is_not_shown(digits):
    right = ModelPredictions(digits.test.labels, np.ones(len(digits.test)))
    html = drawn(Confusion(digits, right))
    assert html.count("<button") == 100 and "0 images labelled 0: classified as 1" in html
    assert "Nothing is picked yet" not in html


def test_tabs_fields_and_sliders():
    tab = ipywidgets.Tab([ipywidgets.HTML("one"), ipywidgets.HTML("two")], titles=("JSON", "as curl"))
    name = ipywidgets.Combobox(value="a<b", description="Model")
    strength = ipywidgets.FloatSlider(value=0.5, min=0, max=1, step=0.1, description="Strength")
    html = drawn(ipywidgets.VBox([ipywidgets.HBox([name, strength]), tab]))
    assert "<details open><summary>JSON</summary><div>one</div></details><details><summary>as curl</summary>" in html
    assert 'value="a&lt;b"' in html and 'min="0.0" max="1.0" step="0.1" value="0.5"' in html


def test_a_drawing_area_says_what_it_is():
    canvas = pytest.importorskip("mlops_lab.widgets.canvas")
    assert "Here you draw" in drawn(ipywidgets.VBox([canvas.Canvas()]))


def test_a_control_that_no_page_had_before_is_named():
    with pytest.raises(WrongUsage, match="'ColorPickerModel'"):
        drawn(ipywidgets.VBox([ipywidgets.ColorPicker()]))
