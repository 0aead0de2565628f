"""The pages at / and /docs in a real browser."""

import io
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlops_lab import serve
from mlops_lab.image import encode_png
from mlops_lab.serve import create_app

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
THREE = [(120, 90), (150, 75), (175, 95), (165, 125), (140, 135), (170, 145), (180, 175), (155, 200), (115, 190)]
BAG = [[(60, y), (220, y)] for y in range(120, 230, 10)] + [[(100, 120), (110, 70), (140, 55), (170, 70), (180, 120)]]
ONE = [(60, 60), (60, 220)]


@pytest.fixture(scope="module")
def server():
    with serve.start(create_app(ROOT / "models"), name="page") as running:
        yield running


@pytest.fixture
def secured():
    with serve.start(create_app(ROOT / "models", api_keys=["open sesame"]), name="secured") as running:
        yield running


@pytest.fixture
def opened(opened_page):
    return opened_page


@pytest.fixture
def page(opened, server):
    page = opened(server.url)
    page.wait_for_selector("#samples button")
    return page


def choose(page, model, size):
    page.select_option("#model", model)
    page.wait_for_function(f"() => document.querySelector('#takes').textContent.includes('{size}')")


def draw(page, *strokes):
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    scale = box["width"] / 280
    for first, *others in strokes:
        page.mouse.move(box["x"] + first[0] * scale, box["y"] + first[1] * scale)
        page.mouse.down()
        for x, y in others:
            page.mouse.move(box["x"] + x * scale, box["y"] + y * scale, steps=5)
        page.mouse.up()


def verdict(page, pattern):
    """Wait until the announced answer is one that matches, and return it."""
    page.wait_for_function(
        "([pattern]) => new RegExp(pattern).test(document.querySelector('#verdict').textContent)", arg=[pattern]
    )
    return page.inner_text("#verdict")


def seen(page):
    """Return the pixels of the image that the page shows as what the model sees."""
    page.wait_for_function(
        "() => document.querySelector('#seen').complete && document.querySelector('#seen').naturalWidth"
    )
    numbers = page.evaluate(
        """() => {
          const image = document.querySelector("#seen"), canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
          canvas.getContext("2d").drawImage(image, 0, 0);
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return [canvas.height, canvas.width, [...data].filter((_, place) => place % 4 === 0)];
        }"""
    )
    height, width, levels = numbers
    return np.array(levels).reshape(height, width)


def test_a_sample_by_keyboard_alone(page):
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.title") == "Ankle boot":
            break
    page.keyboard.press("Enter")
    assert verdict(page, "^Ankle boot, ").startswith("Ankle boot, ")
    sample = np.asarray(Image.open(ROOT / "mlops_lab" / "serve" / "pages" / "ankle-boot.png"))
    assert (seen(page) == sample).all()
    page.click("summary")
    answer = json.loads(page.inner_text("#json"))
    assert answer["predictions"][0]["label"] == "Ankle boot"
    rows = page.locator("#bars tbody tr")
    assert rows.count() == 10
    assert page.locator("#bars tr.best th").inner_text() == "Ankle boot"
    assert "infer" in page.inner_text("#stages")
    assert re.match(r"\d+\.\d ms", page.inner_text("#latency"))


def test_a_drawing_is_centred_by_its_mass_wherever_it_is(page):
    choose(page, "digits", "8×8")
    draw(page, ONE)
    verdict(page, r"^\d, ")
    found = seen(page)
    assert found.shape == (8, 8)
    columns = found.sum(axis=0)
    assert columns @ (np.arange(8) + 0.5) / columns.sum() == pytest.approx(4, abs=0.3)
    assert found.sum(axis=1).all(), "it fills the height"


def test_a_drawn_three_is_read(page):
    choose(page, "digits", "8×8")
    draw(page, THREE)
    assert verdict(page, "^3, ").startswith("3, ")
    page.click("#clear")
    assert not page.is_visible("#result")
    ink = "canvas.getContext('2d').getImageData(0, 0, 280, 280).data.some((level, at) => at % 4 < 3 && level)"
    assert page.evaluate(ink) is False


def test_a_seven_is_read_that_looks_like_those_of_the_data(page):
    choose(page, "digits", "8×8")
    assert "sevens of its training data have a bar" in page.inner_text("#takes")
    draw(page, [(80, 60), (200, 60), (120, 230)], [(105, 145), (185, 145)])
    assert verdict(page, "^7, ").startswith("7, ")


def test_a_photo_on_white_is_inverted_on_demand(page):
    photo = np.full((60, 40), 255, np.uint8)
    photo[20:40, 10:30] = 0
    page.set_input_files("#file", {"name": "photo.png", "mimeType": "image/png", "buffer": encode_png(photo)})
    verdict(page, r", \d")
    assert seen(page)[14, 14] == 0
    page.check("#invert")
    page.wait_for_function("() => document.querySelector('#curl').textContent.includes('image.png')")
    page.wait_for_function("() => document.querySelector('#latency').textContent.includes('last 2')")
    page.wait_for_timeout(300)
    found = seen(page)
    assert found[14, 14] == 255
    assert found[2, 14] == 0


def test_an_image_can_be_dropped(page):
    data = list(encode_png(np.full((10, 10), 99, np.uint8)))
    page.evaluate(
        """(bytes) => {
          const files = new DataTransfer();
          files.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
          const drop = new DragEvent("drop", { dataTransfer: files, cancelable: true });
          document.querySelector("#left").dispatchEvent(drop);
        }""",
        data,
    )
    verdict(page, r", \d")
    assert (seen(page) == 99).all()
    assert "dropped.png" in page.inner_text("#curl")


def test_an_error_is_announced_in_the_servers_words(opened, server):
    page = opened(server.url, allowed=["400"])
    page.wait_for_selector("#samples button")
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"not an image"})
    assert "are not a PNG or JPEG image" in verdict(page, "^Error")
    assert page.get_attribute("#verdict", "role") == "status"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_curl_line_gives_the_same_answer(page, tmp_path):
    draw(page, THREE)
    verdict(page, r", \d")
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "image.png")
    command = [*shlex.split(page.inner_text("#curl")), "--silent", "--noproxy", "*"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    page.click("summary")
    assert json.loads(done.stdout) == json.loads(page.inner_text("#json"))


@pytest.mark.parametrize(("theme", "name"), [("light", "page"), ("dark", "page-dark")])
def test_a_drawn_garment_is_named(opened, server, kept, theme, name):
    page = opened(server.url, color_scheme=theme)
    page.wait_for_selector("#samples button")
    draw(page, *BAG)
    verdict(page, "^Bag, ")
    kept(page.screenshot(full_page=True), name)


def test_a_chain_reads_a_number(page):
    page.select_option("#model", "chain:number")
    assert not page.is_visible("#version")
    draw(page, [(60, 80), (60, 200)], [(200, 80), (200, 200)])
    assert verdict(page, r"^11$") == "11"
    assert page.locator("#bars tbody tr").count() == 2


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_is_wide_enough(opened, server, kept, path, theme):
    page = opened(server.url, viewport={"width": 360, "height": 780}, color_scheme=theme, has_touch=True)
    page.goto(server.url + path)
    if path == "/":
        page.locator("#samples button").first.tap()
        verdict(page, "^Ankle boot")
        assert page.is_visible("#echo")
        if theme == "dark":
            page.evaluate("scrollTo(0, 0)")
            kept(page.screenshot(), "page-phone")
    else:
        page.locator("details.route").nth(2).locator("summary").tap()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
    assert (bright > 200) == (theme == "light")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_everything_that_can_be_used_has_a_name(opened, server, path):
    page = opened(server.url)
    page.goto(server.url + path)
    page.wait_for_selector("#samples button, details.route")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, a, canvas")].filter((one) =>
          !(one.labels?.length || one.getAttribute("aria-label") || one.textContent.trim() ||
            one.querySelector("img")?.alt)).map((one) => one.outerHTML)"""
    )
    assert nameless == []
    assert page.get_attribute("html", "lang") == "en"


def test_a_server_with_a_key_asks_for_it(opened, secured):
    page = opened(secured.url, allowed=["401"])
    assert "requires an API key" in verdict(page, "^Error")
    page.fill("#key", "open sesame")
    page.keyboard.press("Enter")
    page.wait_for_selector("#samples button")
    page.click("#samples button")
    verdict(page, "^Ankle boot")
    assert "$KEY" in page.inner_text("#curl")
    assert "sesame" not in page.inner_text("#curl")


def test_docs_lists_every_route_and_sends_a_request(opened, server):
    page = opened(server.url)
    page.goto(server.url + "/docs")
    page.wait_for_selector("details.route")
    api = create_app(ROOT / "models").test_client().get("/openapi.json").json
    operations = sum(verb in item for item in api["paths"].values() for verb in ("get", "post"))
    assert page.locator("details.route").count() == operations
    route = page.locator("details.route").filter(has_text="POST /models/digits/{version} ").first
    route.locator("summary").click()
    route.locator("button[type=submit]").click()
    route.locator("pre").wait_for()
    assert json.loads(route.locator("pre").inner_text())["model"] == "digits"
    assert "200 OK" in route.inner_text()


def test_docs_sends_a_file_and_shows_the_image_that_comes_back(opened, server):
    page = opened(server.url)
    page.goto(server.url + "/docs")
    route = page.locator("details.route").filter(has_text="/models/digits/{version}/input").first
    route.locator("summary").click()
    route.locator("select").nth(1).select_option("image/png")
    image = io.BytesIO(encode_png(np.full((80, 80), 255, np.uint8))).getvalue()
    route.locator("input[type=file]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": image})
    route.locator("button[type=submit]").click()
    route.locator("img").wait_for()
    assert route.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 8


def test_the_keyboard_alone_draws(page):
    choose(page, "digits", "8×8")
    page.focus("#canvas")
    assert page.is_visible("#keys")
    for key in ["ArrowUp"] * 10 + ["Space"] + ["ArrowDown"] * 20:
        page.keyboard.press(key)
    assert page.is_visible(".nib.down")
    page.keyboard.press("Space")
    verdict(page, "^1, ")
    page.keyboard.press("Control+z")
    assert not page.is_visible("#result")


def test_strokes_are_taken_back_one_by_one(page):
    draw(page, ONE, [(180, 60), (180, 220)])
    verdict(page, r", \d")
    inked = "x => document.querySelector('#canvas').getContext('2d').getImageData(x, 140, 1, 1).data[0] > 0"
    page.keyboard.press("Control+z")
    assert [page.evaluate(inked, x) for x in (60, 180)] == [True, False]
    page.click("#undo")
    assert not page.is_visible("#result")


def hold(page, method, do):
    """Do something, and return the first request of a method that follows: it waits to be continued."""
    held = []

    def take(route):
        held.append(route) if route.request.method == method and not held else route.continue_()

    page.route("**/models/*/*", take)
    do()
    for _ in range(200):
        if not held:
            page.wait_for_timeout(50)
    return held[0]


@pytest.mark.parametrize(
    ("end", "event", "allowed"), [("continue_", "response", ()), ("abort", "requestfailed", ("net::ERR_FAILED",))]
)
def test_an_answer_that_comes_after_its_drawing_was_taken_back_is_not_shown(opened, server, end, event, allowed):
    page = opened(server.url, allowed=allowed)
    page.wait_for_selector("#samples button")
    held = hold(page, "POST", lambda: draw(page, ONE))
    page.click("#clear")
    with page.expect_event(event, lambda one: getattr(one, "request", one).method == "POST"):
        getattr(held, end)()
    page.wait_for_timeout(300)
    assert not page.is_visible("#result")
    assert page.text_content("#verdict") == "Draw something, or choose a sample."


def test_a_description_that_comes_after_another_model_was_chosen_is_not_shown(page):
    held = hold(page, "GET", lambda: page.select_option("#model", "digits"))
    choose(page, "clothes", "28×28")
    with page.expect_response("**/models/digits/*"):
        held.continue_()
    page.wait_for_timeout(300)
    assert "28×28" in page.text_content("#takes")
    draw(page, *BAG)
    verdict(page, "^Bag, ")


def test_a_finger_draws(opened, server):
    page = opened(server.url, has_touch=True)
    page.wait_for_selector("#samples button")
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    fingers = page.context.new_cdp_session(page)

    def touch(kind, *points):
        at = [{"x": box["x"] + x, "y": box["y"] + y} for x, y in points]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", (100, 60))
    for y in range(80, 240, 20):
        touch("touchMove", (100, y))
    touch("touchEnd")
    verdict(page, r", \d")


@pytest.fixture
def tasks():
    from task_models import MODELS

    with serve.start(create_app(MODELS), name="page of tasks") as running:
        yield running


def test_a_model_that_takes_no_image_has_fields_for_what_it_takes(opened, tasks):
    page = opened(tasks.url, allowed=("400",))
    page.wait_for_selector("#model option", state="attached")
    page.select_option("#model", "price")
    page.wait_for_selector("#values input")
    assert page.is_hidden("#draw") and page.locator("#values label").all_inner_texts() == ["rooms", "area"]
    page.locator("#values input").nth(0).fill("3")
    page.locator("#values input").nth(1).fill("100")
    assert verdict(page, "^80$") == "80"
    words = shlex.split(page.inner_text("#curl"))
    assert words[words.index("-d") + 1] == '{"inputs":{"house":[[3,100]]}}' and words[-1].endswith(
        "/models/price/latest"
    )
    page.locator("#values input").nth(0).fill("")
    assert verdict(page, "^Error: ") == "Error: Fill every field with a number."
    page.select_option("#model", "spam")
    page.locator("#values textarea").fill("win now")
    verdict(page, "^spam, 75")
    assert page.locator("#bars tr.best th").inner_text() == "spam"
    page.select_option("#model", "several")
    page.locator("#values input").nth(1).wait_for()
    verdict(page, "^price: 0; old: new")
    assert page.locator("#bars tr.best th").inner_text() == "old: new"


def test_a_file_that_is_no_image_leaves_nothing_of_the_last_answer(opened, server):
    page = opened(server.url, allowed=["400"])
    page.wait_for_selector("#samples button")
    page.click("#samples button")
    verdict(page, "^Ankle boot, ")
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"hello"})
    verdict(page, "^Error: ")
    assert page.locator("#bars tbody tr").count() == 0 and page.is_hidden("figure")
