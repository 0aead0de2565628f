"""Draw in a real browser: with the mouse, with the keyboard alone, and where the front end is missing."""

import re

SET_UP = """
from mlops_lab import data, serve, widgets
server = serve.start("../models")
server
"""
DIGITS = 'paper = widgets.draw(server, data.load("digits"), "digits", "v1")\npaper'
CLOTHES = 'paper = widgets.draw(server, data.load("fashion-mnist"), "clothes", "v1")\npaper'
THREE = [(120, 90), (150, 75), (175, 95), (165, 125), (140, 135), (170, 145), (180, 175), (155, 200), (115, 190)]
TROUSER = [[(105, 55), (175, 55), (185, 235)], [(105, 55), (95, 235)]]


def draw(page, canvas, *strokes):
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for first, *others in strokes:
        page.mouse.move(box["x"] + first[0], box["y"] + first[1])
        page.mouse.down()
        for x, y in others:
            page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
        page.mouse.up()


def test_a_drawn_digit_is_answered(opened):
    book = opened([SET_UP, DIGITS])
    book.run_all()
    cell = book.cell("widgets.draw")
    canvas = cell.get_by_role("application", name="Drawing area")
    draw(book.page, canvas, THREE)
    cell.get_by_role("status").get_by_text(re.compile(r"^3 \(")).wait_for()
    cell.locator(".lab-result").get_by_text("It says: 3").wait_for()
    assert "64 numbers" in cell.locator(".lab-result").inner_text()
    cell.get_by_role("button", name="Undo").click()
    cell.get_by_text("appear here").wait_for()


def test_a_drawn_garment_is_answered(opened):
    book = opened([SET_UP, CLOTHES])
    book.run_all()
    cell = book.cell("widgets.draw")
    cell.get_by_label("Brush").select_option(label="broad")
    draw(book.page, cell.get_by_role("application"), *TROUSER)
    cell.get_by_role("status").get_by_text("Trouser (").wait_for()
    book.image(cell, "draw", ("lab", "lab-dark"))
    cell.get_by_label("Invert").check()
    cell.get_by_role("status").filter(has_not_text="Trouser").wait_for()


def test_the_keyboard_alone_draws(opened):
    book = opened([SET_UP, DIGITS])
    book.run_all()
    cell = book.cell("widgets.draw")
    canvas, status, press = cell.get_by_role("application"), cell.get_by_role("status"), book.page.keyboard.press
    canvas.focus()
    for key in ["ArrowUp"] * 9 + ["Space"] + ["ArrowDown"] * 18:
        press(key)
    assert status.inner_text() == "The brush is down."
    assert cell.locator(".nib.down").is_visible()
    press("Space")
    status.get_by_text(re.compile(r"^1 \(")).wait_for()
    assert canvas.evaluate("canvas => canvas === document.activeElement"), (
        "the keys are the brush's, not the notebook's"
    )
    press("Backspace")
    cell.get_by_text("appear here").wait_for()
    assert book.page.locator(".jp-CodeCell").count() == 2
    press("Space")
    press("Space")
    cell.locator(".lab-result").get_by_text("It says").wait_for()
    press("Delete")
    status.get_by_text("Draw something.").wait_for()


def test_without_its_front_end_others_stand_in(opened_without_anywidget):
    book = opened_without_anywidget([SET_UP, CLOTHES])
    book.run_all()
    cell = book.cell("widgets.draw")
    cell.get_by_text("The browser has not shown the drawing area.").wait_for()
    cell.get_by_role("button", name="#8 Sandal").click()
    cell.get_by_role("button", name="Send").click()
    cell.locator(".lab-result").get_by_text("It says: Sandal").wait_for()
    book.image(cell, "stand-in", ("bare",))
