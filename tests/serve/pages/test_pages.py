import io
import re

import numpy as np
import pytest
from PIL import Image

from mlops_lab.engines.python import PythonEngine
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.predict import Predictor
from mlops_lab.serve import Registry, create_app
from mlops_lab.serve.pages import FOLDER, TYPES

FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix in TYPES)


def pixels(answer):
    assert answer.content_type == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.data)))


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_allow_nothing_from_elsewhere(client, path):
    answer = client.get(path)
    assert answer.content_type == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src)|<style|style=|\son\w+=", answer.text), "inline code"


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".html", ".js", ".css"))])
def test_no_address_is_absolute(name):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert not re.search(r"""["'(](?:https?:)?//|["'(`]/\w""", text), "a proxy's path would break it"


@pytest.mark.parametrize("name", FILES)
def test_files_come_with_their_type_and_can_be_kept(client, name):
    answer = client.get(f"/pages/{name}")
    assert answer.data == (FOLDER / name).read_bytes()
    kinds = {
        "js": "text/javascript",
        "css": "text/css",
        "svg": "image/svg+xml",
        "png": "image/png",
        "html": "text/html",
    }
    assert answer.mimetype == kinds[name.rpartition(".")[2]]
    again = client.get(f"/pages/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("name", ["../pages.py", "%2e%2e%2fapp.py", "nothing.js", ".", "a%00b"])
def test_nothing_else_is_served(client, name):
    assert client.get(f"/pages/{name}").status_code == 404


def test_what_the_pages_ask_for_is_there():
    wanted = set()
    for name in ("index.html", "docs.html"):
        wanted |= set(re.findall(r'(?:src|href)="pages/([^"]+)"', (FOLDER / name).read_text(encoding="utf-8")))
    samples = re.search(r"SAMPLES = \[(.*?)\];", (FOLDER / "page.js").read_text(encoding="utf-8"), re.S)[1]
    wanted |= {f"{stem}.png" for stem in re.findall(r'\["([\w-]+)",', samples)}
    assert len(wanted) > 12
    assert wanted <= set(FILES)


def test_an_image_is_seen_in_the_models_size(client):
    tall = np.zeros((100, 50), np.uint8)
    tall[:50] = 255
    seen = pixels(client.post("/models/bright/v1/input", data=encode_png(tall), content_type="image/png"))
    assert seen.shape == (28, 28)
    assert (seen[:14, 7:21] == 255).all()
    assert not seen[14:].any()
    assert not seen[:, :7].any()


def test_the_range_of_the_model_is_undone(client):
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    for body in ({"image": levels.tolist()}, {"images": [levels.tolist(), levels.T.tolist()]}):
        assert (pixels(client.post("/models/digits/latest/input", json=body)) == levels).all()


def test_colours_are_seen_in_colour():
    spec = InputSpec((4, 4, 3), size=(4, 4), low=-1, mode="rgb")
    model = Predictor("rgb", 1, spec, ("a",), PythonEngine(lambda inputs: np.ones((len(inputs), 1), np.float32)))
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    answer = (
        create_app([model]).test_client().post("/models/rgb/v1/input", data=encode_png(red), content_type="image/png")
    )
    assert (pixels(answer) == red).all()


@pytest.mark.parametrize(
    "path, body, status", [("digits/v1", b"no", 400), ("digits/v9", b"", 404), ("nobody/v1", b"", 404)]
)
def test_what_cannot_be_seen_is_an_error_like_any_other(client, path, body, status):
    answer = client.post(f"/models/{path}/input", data=body, content_type="image/png")
    assert answer.status_code == status
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_a_model_without_images_shows_none():
    engine = PythonEngine(lambda inputs: np.ones((len(inputs), 1), np.float32))
    client = create_app([Predictor("flat", 1, InputSpec((3,)), ("a",), engine)]).test_client()
    answer = client.post("/models/flat/v1/input", json={"image": [1, 2, 3]})
    assert answer.status_code == 415
    assert "does not take images" in answer.json["error"]


def test_the_page_is_there_without_any_model():
    assert create_app(Registry()).test_client().get("/").status_code == 200
