"""The other widgets, each seen once in a real browser."""

import re

import numpy as np
import pytest

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
    # By the keyboard: the arrow keys move the slider in JupyterLab, but from cell to cell in Notebook 7.
    number = cell.locator(".widget-readout")
    number.fill("0.8")
    number.press("Enter")
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


OWN = """
import numpy as np
import pandas as pd
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from mlops_lab import serve, store, widgets

iris = load_iris()
models = store.ModelStore("own-models")
table = pd.DataFrame(iris.data, columns=iris.feature_names)
flowers = GaussianNB().fit(iris.data, iris.target_names[iris.target])
models.publish(flowers, "iris", examples=table)
texts, marks = ["a good film", "very good", "a bad film", "very bad"], ["good", "good", "bad", "bad"]
models.publish(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, marks), "reviews", examples=texts)
server = serve.start(models, name="own")
"""


@pytest.mark.parametrize("jupyter", ["lab", "lab-dark"], indirect=True)
def test_a_model_of_ones_own_is_asked(opened):
    book = opened([OWN, 'form = widgets.ask(server, "iris")\nform', 'review = widgets.ask(server, "reviews")\nreview'])
    book.run_all()
    cell = book.cell('ask(server, "iris")')
    for name, value in (("sepal length (cm)", 5.1), ("sepal width (cm)", 3.5), ("petal length (cm)", 1.4)):
        field = cell.get_by_label(name)
        field.fill(str(value))
        field.press("Tab")
    cell.get_by_role("button", name="Send").click()
    cell.locator(".lab-result").get_by_text("setosa").first.wait_for()
    cell.get_by_role("tab", name="as curl").click()
    cell.get_by_text(re.compile(r"^curl .*\[\[5\.1, 3\.5, 1\.4, 0\.0\]\]", re.DOTALL)).wait_for()
    book.image(cell, "ask", ("lab", "lab-dark"))
    cell = book.cell('ask(server, "reviews")')
    cell.get_by_placeholder("Some text").fill("a good one")
    cell.get_by_placeholder("Some text").press("Tab")
    cell.get_by_role("button", name="Send").click()
    cell.locator(".lab-result").get_by_text("good").first.wait_for()


def test_a_training_ends_and_one_is_stopped(opened):
    config = "train.TrainConfig(epochs=200)"
    in_cell = "run = train.fit(dataset.limited(2000), train.TrainConfig(epochs=1))\nrun"
    book = opened([SET_UP, in_cell, f"live = widgets.training(dataset.limited(5000), {config})\nlive"])
    book.run_all()
    cell = book.cell("train.fit(")
    cell.get_by_role("img", name=re.compile("Accuracy and loss by epoch")).wait_for()
    bar = cell.locator(".jp-OutputArea").first.inner_text()
    assert "1/1" in bar and "validation" in bar and "-:--" not in bar
    cell = book.cell("widgets.training")
    cell.get_by_role("button", name="Start").click()
    cell.get_by_text(re.compile(r"\d+ epochs, best")).wait_for()
    cell.get_by_role("button", name="Stop").click()
    cell.get_by_text("the model has the weights of epoch").wait_for()
    book.image(cell, "training", ("lab", "lab-dark"))
    plot = cell.get_by_role("img", name=re.compile("Accuracy by epoch"))
    colours = "(node) => [getComputedStyle(node.querySelector('text')).fill, getComputedStyle(document.body).color]"
    ink, theme = (shade(colour) for colour in plot.evaluate(colours))
    assert (ink > 128) == (theme > 128) == ("dark" in book.place)


def shade(colour):
    """Return how light a colour of CSS is, 0–255."""
    return float(np.mean([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]))
