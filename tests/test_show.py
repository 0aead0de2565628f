import base64
import re

import pytest

from mlops_lab import show
from mlops_lab.image import decode

HOSTILE = '<script>alert("x")</script>'


@pytest.mark.parametrize(
    "html",
    [
        show.card(HOSTILE),
        show.table([(HOSTILE, 1)], (HOSTILE, "n")),
        show.bars([HOSTILE], [0.5], strongest=0),
        show.state("ok", HOSTILE),
        show.image(b"", HOSTILE),
    ],
    ids=["card", "table", "bars", "state", "image"],
)
def test_text_is_escaped_and_nothing_remote_is_loaded(html):
    assert "<script" not in html
    assert not re.search(r"https?://", html)


@pytest.mark.parametrize("kind", show.STATES)
def test_a_state_is_a_word_as_well_as_a_colour(kind):
    assert kind in re.sub(r"<[^>]*>", "", show.state(kind))


def test_html_in_a_table_stays_html():
    assert "<b>x</b>" in show.table([(show.Html("<b>x</b>"),)])


def test_a_table_has_a_head_only_where_there_is_one():
    assert "<thead>" not in show.table([(1, 2)])
    assert show.table([(1, 2)], ("a", "b")).count('scope="col"') == 2


def test_bars_mark_the_strongest():
    rows = show.bars(["cat", "dog"], [0.25, 0.75], strongest=1).split("<tr")[1:]
    assert ["600" in row for row in rows] == [False, True]
    assert "75.0%" in rows[1]


def test_an_image_carries_its_bytes_and_alt_text():
    html = show.image(b"\x89PNG", 'a "shoe"', width=56, pixelated=True)
    assert base64.b64encode(b"\x89PNG").decode() in html
    assert 'alt="a &quot;shoe&quot;"' in html
    assert 'width="56"' in html


def test_a_figure_becomes_png():
    figure = show.figure(2, 1)
    figure.add_subplot().plot([1, 2])
    assert decode(show.figure_png(figure), "rgb").shape == (110, 220, 3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (0.5, "0.5"),
        (["a", "b"], "a, b"),
        ({"a": {"b": [1, 2]}, "c": None}, "a (b (1, 2)), c none"),
    ],
)
def test_values_are_written_for_people(value, text):
    assert show.plain(value) == text


@pytest.mark.parametrize("epochs", [1, 2, 7])
def test_a_plot_over_epochs_has_whole_ones_and_the_colours_of_the_page(epochs):
    figure = show.figure(4, 2)
    axes = figure.subplots()
    axes.plot(range(1, epochs + 1), range(epochs), label="training")
    show.by_epoch(axes)
    svg = show.drawing(figure, 'One "epoch"')
    ticks = [text for text in re.findall(r">([\d.]+)</text>", svg.split("epoch</text>")[0])]
    assert ticks and all(tick.isdecimal() for tick in ticks)
    assert 'aria-label="One &quot;epoch&quot;"' in svg and "currentColor" in svg
    # Nothing is black or white, and nothing reaches the page around it.
    assert not re.search(r"#000000|#ffffff|<style|<metadata|<g id=", svg)


def luminance(colour):
    """Return the relative luminance of a colour, as the rules of accessible pages define it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", ["#ffffff", "#111111", "#131416"], ids=["light", "JupyterLab Dark", "furo's dark"])
@pytest.mark.parametrize("colour", show.COLOURS)
def test_the_colours_of_figures_stand_out_on_light_and_dark_pages(colour, ground):
    darker, lighter = sorted((luminance(colour), luminance(ground)))
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_a_figure_has_the_colours_of_the_package_and_a_legend_without_a_ground():
    figure = show.figure(4, 2)
    for axes in figure.subplots(1, 2):
        for name in "ab":
            axes.plot([1, 2], label=name)
        axes.legend()
    svg = show.drawing(figure, "Lines")
    assert set(re.findall(r"#[0-9a-f]{6}", svg)) == {*show.COLOURS[:2]}
