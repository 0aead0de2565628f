import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlops_lab import serve
from mlops_lab.errors import LabError, StoreError, UnknownModel
from mlops_lab.image import encode_png
from mlops_lab.serve import Chain, Limits
from mlops_lab.serve.chains import routes as chains
from mlops_lab.serve.core.registry import Registry

ROOT = Path(__file__).parents[3]
NUMBER = {"links": [{"step": "find-digits"}, {"model": "digits", "version": "v1"}, {"step": "join"}]}


def composed(split, places, size=40):
    """Real digits, enlarged and set side by side, dark on light."""
    row = [
        np.asarray(Image.fromarray(split.images[place]).resize((size, size), Image.Resampling.BICUBIC))
        for place in places
    ]
    return 255 - np.pad(np.hstack([np.pad(one, ((0, 0), (4, 4))) for one in row]), 8)


@pytest.fixture(scope="session")
def sheet(digits, shared_models):
    """An image of three test digits that the model alone reads right, and their number."""
    said = shared_models.load("digits", 1).predict(digits.test.images)
    right = [
        place
        for place, one in enumerate(said)
        if one.class_index == digits.test.labels[place] and one.confidence > 0.999
    ]
    places = right[::97][:3]
    return composed(digits.test, places), "".join(str(digits.test.labels[place]) for place in places)


@pytest.fixture
def folder(models):
    made = models.root.parent / "chains"
    made.mkdir()
    (made / "number.json").write_text(json.dumps(NUMBER))
    return made


@pytest.fixture
def client(models, folder, monkeypatch):
    monkeypatch.setattr(chains, "POLL_SECONDS", 0.0)
    return serve.create_app(models).test_client()


def test_the_image_of_the_documentation_is_read():
    shipped = serve.create_app(ROOT / "models").test_client()
    answer = shipped.post(
        "/chains/number", data=(ROOT / "docs/images/number.png").read_bytes(), content_type="image/png"
    )
    assert answer.json["answer"] == "4207"


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return {"data": buffer.getvalue(), "content_type": "application/x-npy"}


def form(image):
    return {"data": {"image": (io.BytesIO(encode_png(image)), "number.png")}}


BODIES = {
    "png": lambda image: {"data": encode_png(image), "content_type": "image/png"},
    "form": form,
    "json": lambda image: {"json": {"image": image.tolist()}},
    "npy": npy,
    "npy with an axis for one": lambda image: npy(image[np.newaxis]),
    "npy with channels": lambda image: npy(image[:, :, np.newaxis]),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_number_is_read_from_every_kind_of_body(client, sheet, body):
    image, number = sheet
    answer = client.post("/chains/number", **body(image))
    assert answer.status_code == 200
    assert answer.json["answer"] == number
    assert [len(answer.json["links"][0]["boxes"]), answer.json["links"][1]["version"]] == [3, "v1"]


def test_whole_numbers_are_read_about_as_well_as_the_model_allows(client, digits):
    random = np.random.default_rng(0)
    right = 0
    for _ in range(60):
        places = random.integers(len(digits.test), size=3)
        image = composed(digits.test, places, int(random.integers(30, 60)))
        answer = client.post("/chains/number", **npy(image)).json["answer"]
        right += answer == "".join(str(digits.test.labels[place]) for place in places)
    assert right / 60 > 0.85


def test_the_shipped_chain_serves_the_shipped_models(sheet):
    client = serve.create_app(str(ROOT / "models")).test_client()
    states = {entry["name"]: entry["state"] for entry in client.get("/chains").json["chains"]}
    assert states["number"] == "ready"
    assert client.post("/chains/number", **npy(sheet[0])).json["answer"] == sheet[1]


def test_chains_are_listed_and_described(client):
    assert client.get("/chains").json == {"chains": [{"name": "number", "description": "", "state": "ready"}]}
    links = client.get("/chains/number").json["links"]
    assert links[0] == {"link": 1, "step": "find-digits", "takes": "one grey image of any size"}
    assert (links[1]["model"], links[1]["version"]) == ("digits", "v1")


def test_an_unknown_chain_is_told_with_the_nearest(client):
    answer = client.post("/chains/nmber", data=b"")
    assert (answer.status_code, answer.json["code"]) == (404, "unknown_chain")
    assert "Did you mean 'number'?" in answer.json["hint"]


def test_a_chain_answers_one_image_at_a_time(client, sheet):
    answer = client.post("/chains/number", **npy(np.stack([sheet[0]] * 2)))
    assert answer.status_code == 400 and "2 images" in answer.json["error"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": b"", "content_type": "image/png"}, 400),
        ({"data": b"x" * 30, "content_type": "image/png"}, 400),
        ({"data": b"x", "content_type": "text/plain"}, 415),
        ({"json": {"image": []}}, 400),
        ({"json": {"image": [1, 2]}}, 400),
        ({"json": {"image": [[300]]}}, 400),
        ({"json": {"image": [[[[1]]]]}}, 400),
        ({"json": {}}, 400),
        (npy(np.zeros((2, 2, 2, 2), np.uint8)), 400),
        (npy(np.float32(3)), 400),
        (npy(np.zeros((0, 4), np.uint8)), 200),
        (npy(np.zeros((1, 1), np.uint8)), 200),
    ],
)
def test_bodies_that_make_no_sense(client, options, status):
    assert client.post("/chains/number", **options).status_code == status


def test_more_patches_than_a_batch_are_refused_by_their_link(models, folder):
    client = serve.create_app(models, limits=Limits(batch=2)).test_client()
    bars = np.zeros((40, 80), np.uint8)
    bars[5:35, 5:75:20] = bars[5:35, 6:75:20] = bars[5:35, 7:75:20] = 255
    answer = client.post("/chains/number", **npy(bars))
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert answer.json["error"].startswith("Link 1 (find-digits) of the chain 'number': 4 patches")
    assert "batch=2" in answer.json["error"]


def test_a_file_that_does_not_fit_is_told_and_keeps_nothing_else_from_serving(client, folder, sheet):
    (folder / "wrong.json").write_text('{"links": ["digits", "digits"]}')
    states = {entry["name"]: entry["state"] for entry in client.get("/chains").json["chains"]}
    assert states["number"] == "ready"
    assert states["wrong"].startswith("failed: Link 2 (digits) of the chain 'wrong': digits v1 takes grey images")
    answer = client.post("/chains/wrong", **npy(sheet[0]))
    assert (answer.status_code, answer.json["code"]) == (503, "broken_chain")
    assert client.post("/chains/number", **npy(sheet[0])).status_code == 200


def test_a_model_that_is_gone_keeps_the_status_of_its_error(client, folder, sheet):
    (folder / "gone.json").write_text('{"links": ["find-digits", "letters"]}')
    answer = client.post("/chains/gone", **npy(sheet[0]))
    assert (answer.status_code, answer.json["code"]) == (404, "unknown_model")
    assert answer.json["error"].startswith("Link 2 (letters) of the chain 'gone'")


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", '{"links": 3}', '{"links": ["join"], "x": 1}', '{"links": ["a"], "name": "b"}', "[" * 9999),
        '{"links": ["digits"], "links": ["find-digits", "digits"]}',
        '{"links": [{"step": "find-digits", "margin": NaN}, "digits"]}',
        json.dumps({"links": ["digits"], "description": "x" * 70_000}),
    ],
    ids=range(9),
)
def test_a_damaged_file_displaces_nothing(client, folder, sheet, text):
    assert client.get("/chains/number").json["state"] == "ready"
    (folder / "number.json").write_text(text)
    assert client.get("/chains/number").json["state"].startswith("ready; what is on disk now was refused")
    assert client.post("/chains/number", **npy(sheet[0])).json["answer"] == sheet[1]
    (folder / "fresh.json").write_text(text)
    assert client.post("/chains/fresh", **npy(sheet[0])).status_code == 503


def test_a_file_is_read_strictly_and_no_further_than_its_bound(tmp_path):
    path = tmp_path / "number.json"
    for text, told in (
        ('{"links": ["a"], "links": ["b"]}', "The key 'links' appears twice"),
        ('{"links": ["a"], "description": NaN}', "NaN is not a JSON number"),
        (" " * 65_537, "it has more than 65,536 bytes"),
    ):
        path.write_text(text)
        with pytest.raises(StoreError, match=f"number.json cannot be read: {told}"):
            chains.read_chain(path)
    path.write_text(json.dumps(NUMBER).ljust(65_536))
    assert len(chains.read_chain(path).links) == 3


def test_an_edited_file_is_served_without_a_restart(client, folder, sheet):
    (folder / "number.json").write_text(
        json.dumps({"links": ["find-digits", "digits", {"step": "join", "separator": "+"}]})
    )
    assert client.post("/chains/number", **npy(sheet[0])).json["answer"] == "+".join(sheet[1])
    (folder / "number.json").unlink()
    assert client.post("/chains/number", **npy(sheet[0])).status_code == 404


def test_a_chain_that_goes_while_it_is_described_is_no_error_of_the_server(models, folder, monkeypatch):
    monkeypatch.setattr(chains, "POLL_SECONDS", 0.0)
    linked = chains.ChainRegistry(Registry.of(models), folder)
    entry = linked.entry("number")
    (folder / "number.json").unlink()
    assert linked.listing() == []
    assert linked.state(entry) == "ready"


def test_the_names_of_chains_load_no_model(folder):
    class Unasked(Registry):
        def get(self, name, version=""):
            raise AssertionError(f"{name} was asked for")

    assert chains.ChainRegistry(Unasked(), folder).names() == ["number"]


def test_chains_of_python(shared_models, sheet):
    chain = Chain(["find-digits", "digits", "join"], name="mine")
    client = serve.create_app(shared_models, chains=chain).test_client()
    assert [entry["name"] for entry in client.get("/chains").json["chains"]] == ["mine"]
    assert client.post("/chains/mine", **npy(sheet[0])).json["answer"] == sheet[1]


def test_a_chain_of_python_that_does_not_fit_is_refused_at_once(shared_models):
    with pytest.raises(UnknownModel, match="Link 2"):
        serve.create_app(shared_models, chains=[Chain(["find-digits", "letters"])])
    with pytest.raises(LabError, match="Link 2"):
        serve.create_app(shared_models, chains=[Chain(["digits", "digits"])])


def test_the_models_of_a_chain_tell_the_hook(models, folder, sheet):
    seen = []
    app = serve.create_app(models, on_prediction=seen.append)
    app.test_client().post("/chains/number", **npy(sheet[0]))
    assert [(event.predictor.name, len(event.images), len(event.rows)) for event in seen] == [("digits", 3, 3)]


def test_a_chain_waits_at_the_models_own_gate(models, folder, sheet):
    client = serve.create_app(models, limits=Limits(in_flight=0, queue=0)).test_client()
    answer = client.post("/chains/number", **npy(sheet[0]))
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert answer.json["error"].startswith("Link 1 (find-digits) of the chain 'number'")
