"""The page at /monitor in a real browser: by keyboard, on a phone, in both themes, with a key."""

import time
from pathlib import Path

import pytest

from mlops_lab import data, monitor, serve, store
from mlops_lab.image import encode_png
from mlops_lab.predict import PredictionEvent
from mlops_lab.serve import create_app

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
REPORT = "#report > div"


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Three hours of garments, masked in the last."""
    models = store.ModelStore(ROOT / "models")
    clothes, test = models.load("clothes", 1), data.load("fashion-mnist").test
    with monitor.PredictionLog(tmp_path_factory.mktemp("log") / "predictions.db") as log:
        for hour in range(3):
            split = data.Split(test.images[200 * hour :][:200], test.labels[200 * hour :][:200])
            images = monitor.disturb(split, "masks", 0.9 if hour == 2 else 0.0).images
            rows = clothes.probabilities(images)
            log.append(PredictionEvent(f"hour-{hour}", time.time() - 3600 * (2 - hour), clothes, images, rows, 0.1))
        log.flush()
        yield log


@pytest.fixture(scope="module")
def server(log):
    with serve.start(create_app(ROOT / "models", log=log), name="watched") as running:
        yield running


def say(page):
    return page.locator("#status").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_it_fits_and_is_readable(opened_page, server, scheme, width):
    page = opened_page(f"{server.url}/monitor", color_scheme=scheme, viewport={"width": width, "height": 800})
    page.wait_for_selector(REPORT)
    assert "clothes v1: harmful, changed" in say(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colour, paper = page.evaluate(
        "[getComputedStyle(document.querySelector('#report > div')), getComputedStyle(document.body)]"
        ".map((style, place) => place ? style.backgroundColor : style.color)"
    )
    light = sum(map(int, paper[4:-1].split(", "))) > 384
    assert light is (scheme == "light") and light is (sum(map(int, colour[4:-1].split(", "))) < 384)


def test_the_keyboard_reaches_everything_and_keeps_its_place(opened_page, server):
    page = opened_page(f"{server.url}/monitor")
    page.wait_for_selector(REPORT)
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached[3:] == ["model", "version", "again", "now", "SUMMARY"]  # after the three links
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("details").evaluate("box => box.open")
    # A new prediction makes a new report; what was open stays open, and the focus stays where it was.
    image = encode_png(data.load("fashion-mnist").test.images[0])
    page.request.post(f"{server.url}/models/clothes", data=image, headers={"Content-Type": "image/png"})
    with page.expect_response("**/monitor/report*"):
        page.locator("#now").click()
    page.locator("summary").focus()
    page.wait_for_function("document.querySelector('#log').innerText.match(/written\\s+601/)")
    assert page.locator("details").evaluate("box => box.open")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_a_key_is_asked_for(opened_page, log):
    app = create_app(ROOT / "models", log=log, api_keys=["open sesame"])
    with serve.start(app, name="watched with a key") as server:
        page = opened_page(f"{server.url}/monitor", allowed=["401"])
        page.locator("#key").wait_for()
        assert "requires an API key" in say(page)
        page.fill("#key", "open sesame")
        page.keyboard.press("Enter")
        page.wait_for_selector(REPORT)
        assert page.locator("#key").is_hidden() and "clothes v1" in say(page)
