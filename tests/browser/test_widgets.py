"""The other widgets, each seen once in a real browser."""

import re

import numpy as np

from mlops_lab import data
from mlops_lab.image import encode_png

SET_UP = """
from mlops_lab import data, serve, train, widgets
dataset = data.load()
server = serve.start("../models")
server
"""
DIAL = """
from mlops_lab import data, monitor, store, widgets
from mlops_lab.monitor import rehearsal
rehearsal.WINDOWS_OF_A_KIND, rehearsal.QUIET_WINDOWS = 6, 40  # in a second, where a course takes ten
predictor, test = store.ModelStore("../models").load("clothes"), data.load().test
reference = monitor.make_reference(predictor, test.sample(1500, seed=1))
"""
ASK = """
client = serve.Client(server)
for image in dataset.test.images[:40]:
    client.classify("clothes", "v1", image)
"""


def test_a_cell_of_the_matrix_opens_its_images(opened):
    book = opened([SET_UP, "matrix = widgets.confusion(server, dataset)\nmatrix"])
    book.run_all()
    cell = book.cell("widgets.confusion")
    cell.get_by_title("labelled Shirt: classified as T-shirt/top").click()
    cell.get_by_role("button", name="Shirt").first.wait_for()
    book.image(cell, "confusion")


def test_two_versions_side_by_side(opened):
    sides = '("clothes", "v1"), ("clothes", "v9")'
    book = opened([SET_UP, f"both = widgets.compare(server, dataset, {sides})\nboth"])
    book.run_all()
    cell = book.cell("widgets.compare")
    cell.get_by_role("button", name="#8 Sandal").click()
    cell.get_by_text("It says: Sandal").wait_for()
    cell.get_by_text("has no version 'v9'").wait_for()


def test_the_dashboard_moves(opened):
    book = opened([SET_UP, "board = widgets.dashboard(server)\nboard", ASK])
    book.run_all()
    cell = book.cell("widgets.dashboard")
    cell.get_by_text("clothes v1 predicted, for 40 images").wait_for()
    cell.get_by_text("POST /models/clothes/v1").wait_for()
    book.image(cell, "dashboard")
    cell.get_by_role("button", name="Stop").click()
    cell.get_by_text("· stopped").wait_for()


def test_a_dial_moves_the_verdict_and_the_truth(opened):
    book = opened([DIAL, "dial = widgets.shift(predictor, reference, test)\ndial"])
    book.run_all()
    cell = book.cell("widgets.shift")
    cell.get_by_text("no harm").wait_for()
    slider = cell.get_by_role("slider")
    slider.focus()
    for _ in range(8):
        slider.press("ArrowRight")
    cell.get_by_text(re.compile("points of accuracy are probably lost")).wait_for()
    cell.get_by_text("the monitor is right").wait_for()
    assert cell.get_by_alt_text("An image after the change").count() == 6
    book.image(cell, "shift", ("lab", "lab-dark"))


def test_an_image_of_ones_own(opened):
    book = opened([SET_UP, "own = widgets.upload(server)\nown"])
    book.run_all()
    cell = book.cell("widgets.upload")
    boot = np.pad(255 - np.kron(data.load().test.images[0], np.ones((9, 9), np.uint8)), 60, constant_values=255)
    with book.page.expect_file_chooser() as chooser:
        cell.get_by_text("Choose an image").click()
    chooser.value.set_files({"name": "boot.png", "mimeType": "image/png", "buffer": encode_png(boot)})
    cell.get_by_text("It says:").wait_for()
    cell.get_by_text("It says: Ankle boot").wait_for()
    assert [cell.get_by_text(step).count() for step in ("3 Inverted", "4 Trimmed", "5 Small")] == [1, 1, 1]
    book.image(cell, "upload")


def test_a_training_is_stopped(opened):
    config = "train.TrainConfig(epochs=200)"
    book = opened([SET_UP, f"live = widgets.training(dataset.limited(5000), {config})\nlive"])
    book.run_all()
    cell = book.cell("widgets.training")
    cell.get_by_role("button", name="Start").click()
    cell.get_by_text(re.compile(r"\d+ epochs, best")).wait_for()
    cell.get_by_role("button", name="Stop").click()
    cell.get_by_text("the model has the weights of epoch").wait_for()
    book.image(cell, "training")
