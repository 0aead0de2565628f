import json

import click
import numpy as np
import pytest

from mlops_lab import __version__, cli, serve, show
from mlops_lab.image import encode_png
from mlops_lab.serve.command import Settings, build, warn_if_open


@pytest.fixture
def two(publish_up_to):
    return publish_up_to(2)


@pytest.fixture
def image(digits, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(encode_png(digits.test.images[0]))
    return path


def test_version_and_help(lab):
    assert lab("--version") == (0, f"mlops-lab, version {__version__}\n", "")
    status, out, _ = lab("--help")
    assert status == 0
    assert all(name in out for name in ("demo", "doctor", "train", "models", "serve", "predict"))


@pytest.mark.parametrize("arguments", [["nonsense"], ["predict"], ["doctor", "--port", "99999"], ["models", "show"]])
def test_wrong_usage_is_status_2(lab, arguments):
    status, out, err = lab(*arguments)
    assert (status, out) == (2, "")
    assert "Error" in err


def test_list(lab, two):
    two.promote("digits", 1)
    assert lab("models", "list", "--models", two.root)[:2] == (0, "digits: v1, v2; production is v1\n")
    status, out, _ = lab("models", "list", "--models", two.root, "--json")
    assert json.loads(out) == {
        "models": [{"name": "digits", "versions": ["v1", "v2"], "aliases": {"production": "v1"}}]
    }
    assert status == 0


def test_an_empty_folder(lab, tmp_path):
    assert lab("models", "list", "--models", tmp_path) == (0, f"There are no models in {tmp_path}.\n", "")
    status, out, err = lab("models", "list", "--models", __file__)
    assert (status, out) == (2, "") and f"{__file__} is a file." in err


def test_show(lab, models):
    status, out, _ = lab("models", "show", "digits", "--models", models.root)
    assert status == 0
    assert "number_of_parameters: 4810" in out
    assert "input: name image, shape (64), dtype float32" in out
    assert not set("{}'") & set(out)  # for people, not for Python
    assert json.loads(lab("models", "show", "digits", "v1", "--models", models.root, "--json")[1])["version"] == "v1"


def test_promote_roll_back_and_history(lab, two):
    at = ("--models", two.root)
    assert lab("models", "promote", "digits", "v1", *at)[1] == "production of digits is v1 now\n"
    lab("models", "promote", "digits", "latest", *at, "--why", "better")
    _, out, _ = lab("models", "rollback", "digits", *at, "--json")
    assert json.loads(out) == {"name": "digits", "alias": "production", "version": "v1"}
    history = json.loads(lab("models", "history", "digits", *at, "--json")[1])["history"]
    assert [entry["event"] for entry in history][-3:] == ["promoted", "promoted", "rolled back"]
    told = lab("models", "history", "digits", *at)[1]
    assert "why=better" in told
    assert "None" not in told
    assert lab("models", "rollback", "digits", "--alias", "staging", *at)[0] == 1


def test_predict(lab, models, image, digits):
    label = digits.classes[digits.test.labels[0]]
    at = ("--name", "digits", "--models", models.root)
    status, out, _ = lab("predict", image, image, *at)
    assert status == 0
    assert out.count(f"{image}: {label} (") == 2
    answer = json.loads(lab("predict", image, *at, "--json")[1])
    assert (answer["model"], answer["version"], answer["files"]) == ("digits", "v1", [str(image)])
    assert answer["predictions"][0]["label"] == label


def test_predict_by_a_server(lab, models, image, no_servers):
    server = serve.start(models)
    here = json.loads(lab("predict", image, "--name", "digits", "--models", models.root, "--json")[1])
    there = json.loads(lab("predict", image, "--name", "digits", "--url", server.url, "--json")[1])
    assert there == here


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["predict", "IMAGE", "--name", "digit", "--models", "MODELS"], 2, "Did you mean 'digits'"),
        (["predict", "IMAGE", "--name", "digits", "--version", "v9", "--models", "MODELS"], 2, "'v9'"),
        (["predict", "nowhere.png", "--name", "digits", "--models", "MODELS"], 1, "nowhere.png"),
        (["predict", "MODELS", "--name", "digits", "--models", "MODELS"], 1, "cannot be read"),
        (["predict", "IMAGE", "TEXT", "--name", "digits", "--models", "MODELS"], 1, "/text: The 8 bytes are not"),
        (["predict", "IMAGE", "--url", "http://127.0.0.1:9"], 1, "No server answers"),
        (["models", "show", "nothing", "--models", "MODELS"], 2, "'digits'"),
        (["models", "promote", "digits", "v9", "--models", "MODELS"], 2, "'v1'"),
        (["models", "promote", "digits", "v1", "--alias", "v2", "--models", "MODELS"], 2, "already means a version"),
        (["models", "promote", "digits", "v1", "--alias", "A", "--models", "MODELS"], 2, "the name of an alias"),
        (["migrate", "TEXT", "mine.h5"], 2, "Write to mine.keras"),
        (["migrate", "TEXT", "KERAS"], 1, "--overwrite"),
        (["train", "--data", "nothing", "--models", "MODELS"], 2, "fashion-mnist"),
        (["train", "--data", "digits", "--name", "Bad Name", "--models", "MODELS"], 2, "'Bad Name'"),
        (["train", "--data", "digits", "--limit", "3", "--models", "MODELS"], 2, "limit=3"),
        (["train", "--data", "digits", "--save", "x.keras", "--models", "MODELS"], 2, "x.keras"),
        (["train", "--save", "x.h5", "--models", "MODELS"], 2, "x.h5"),
        (["train", "--data", "digits", "--models", "TEXT"], 1, "A file is where a folder should be"),
        (["serve", "--models", "MODELS", "--port", "0", "--cors-origin", "localhost:3000"], 2, "is not an origin"),
        (["serve", "--models", "MODELS", "--host", "203.0.113.7", "--port", "0"], 1, "Cannot listen on"),
        (["serve", "--models", "MODELS", "--port", "0", "--limit", "batch"], 2, "not NAME=NUMBER"),
        (["serve", "--models", "MODELS", "--port", "0", "--limit", "bach=2"], 2, "Did you mean 'batch'"),
    ],
)
def test_bad_input_is_two_lines_and_a_status(lab, models, image, tmp_path, arguments, status, words):
    (tmp_path / "text").write_text("no image")
    (tmp_path / "there.keras").touch()
    names = {"IMAGE": image, "MODELS": models.root, "TEXT": tmp_path / "text", "KERAS": tmp_path / "there.keras"}
    arguments = [names.get(word, word) for word in arguments]
    found, out, err = lab(*arguments)
    assert (found, out) == (status, "")
    assert err.startswith("error: ")
    assert words in err
    if arguments[0] != "serve":
        found, out, err = lab(*arguments, "--json")
        assert found == status
        assert json.loads(out).keys() == {"error", "code", "hint"}


@pytest.mark.parametrize("option", ["--chains", "--shadow-log"])
def test_a_place_that_is_not_there_is_told_before_serving(lab, models, option, tmp_path):
    status, out, err = lab("serve", "--models", models.root, "--port", "0", option, tmp_path / "nope/x")
    assert (status, out) == (2, "") and f"{tmp_path / 'nope/x'}" in err


def test_people_at_a_terminal_are_told_what_to_do_there(monkeypatch, capsys):
    from mlops_lab.cli.answering import _announce

    _announce("serving http://127.0.0.1:8000")
    assert capsys.readouterr().out == "serving http://127.0.0.1:8000\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    _announce("serving http://127.0.0.1:8000\nserving grpc 127.0.0.1:8500")
    out = capsys.readouterr().out
    assert "Open http://127.0.0.1:8000 in a browser" in out and "/docs for the API" in out and "Ctrl-C" in out


def test_the_variable_port_is_heeded_where_no_port_is_given(lab, models, bright, monkeypatch, no_servers):
    server = serve.start(bright)
    monkeypatch.setenv("PORT", str(server.port))
    assert f"Port {server.port}" in lab("serve", "--models", models.root)[2]
    other = serve.start(bright, name="other")
    assert f"Port {other.port}" in lab("serve", "--models", models.root, "--port", other.port)[2]


def test_a_port_in_use(lab, models, bright, no_servers):
    server = serve.start(bright)
    status, _, err = lab("serve", "--models", models.root, "--port", server.port)
    assert status == 1
    assert f"Port {server.port}" in err


def test_train(lab, tmp_path):
    status, out, err = lab("train", "--data", "digits", "--name", "mine", "--models", tmp_path / "m", "--limit", "300")
    assert (status, err) == (0, "")
    assert "published mine v1" in out
    status, out, _ = lab(
        "train", "--data", "digits", "--name", "mine", "--models", tmp_path / "m", "--limit", "300", "--json"
    )
    assert json.loads(out)["published"]["version"] == "v2"
    assert json.loads(out)["framework"] == "scikit-learn"


def test_doctor(lab, models):
    status, out, _ = lab("doctor", "--models", models.root)
    assert status == 0
    assert "digits v1" in out
    (models.root / "digits/1/manifest.json").write_text("")
    status, out, _ = lab("doctor", "--models", models.root, "--json")
    assert status == 1
    assert json.loads(out)["passed"] is False


@pytest.mark.tensorflow
def test_train_a_keras_model_and_save_a_file(lab, tmp_path):
    status, out, _ = lab(
        "train", "--limit", "500", "--epochs", "1", "--recipe", "course", "--models", tmp_path / "m",
        "--save", tmp_path / "clothes.keras", "--json",
    )  # fmt: skip
    assert status == 0
    assert json.loads(out)["published"]["number_of_parameters"] == 133_280
    assert (tmp_path / "clothes.keras").is_file()


def test_predict_keeps_the_order_of_many(lab, models, digits, tmp_path):
    paths = []
    for place in range(5):
        paths.append(tmp_path / f"{place}.png")
        paths[-1].write_bytes(encode_png(digits.test.images[place]))
    answer = json.loads(lab("predict", *paths, "--name", "digits", "--models", models.root, "--json")[1])
    expected = models.load("digits").probabilities(digits.test.images[:5]).argmax(axis=1)
    assert np.array_equal([item["class"] for item in answer["predictions"]], expected)


def every_command(group, path=()):
    for name, command in group.commands.items():
        yield ("-".join((*path, name)), command)
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


@pytest.mark.parametrize(("name", "command"), list(every_command(cli.commands)))
def test_every_command_and_every_option_has_help(name, command):
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert command.help
    assert [option.opts for option in options if not option.help] == []


ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp"


@pytest.fixture
def hostile(models):
    """Return a models folder of somebody else, whose description and aliases hold what controls a terminal."""
    manifest = models.root / "digits" / "1" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "description": ESCAPES, "labels": [ESCAPES] * 10}))
    damaged = models.root / "broken" / "1"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text(json.dumps({"format": ESCAPES}))
    return models.root


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "list"),
        ("models", "show", "digits"),
        ("models", "show", "broken"),
        ("models", "show", ESCAPES),
        ("predict", "IMAGE", "--name", "digits"),
        ("predict", "IMAGE", "--name", "broken"),
        ("check", "FILE"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nothing_of_a_foreign_store_controls_the_terminal(lab, hostile, image, tmp_path, arguments, form):
    file = tmp_path / "named\x1b[2J.keras"
    file.write_bytes(b"\x1b[2J no model")
    given = [str(image) if item == "IMAGE" else str(file) if item == "FILE" else item for item in arguments]
    more = () if arguments[0] == "check" else ("--models", hostile)
    _, out, err = lab(*given, *more, *form)
    assert out + err
    assert not [c for c in out + err if not c.isprintable() and c not in "\n\t"]
    if form and out:
        json.loads(out)


def test_what_a_server_warns_of_controls_no_terminal(hostile):
    warned = []
    build(Settings(str(hostile)), lambda line: warned.append(show.escape_controls(line)))
    assert any("broken" in line for line in warned)
    assert not [c for c in "".join(warned) if not c.isprintable()]


@pytest.mark.parametrize(
    ("host", "keys", "warns"), [("0.0.0.0", (), True), ("0.0.0.0", ("key",), False), ("127.0.0.1", (), False)]
)
def test_a_server_that_is_open_to_everybody_warns(host, keys, warns):
    warned = []
    warn_if_open(Settings("models", host=host, api_keys=keys), warned.append)
    assert any("no API key" in line for line in warned) is warns
