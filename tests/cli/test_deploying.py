import json
from pathlib import Path

import pytest

MODELS = str(Path(__file__).parents[2] / "models")


def test_an_image_s_files_are_shown_and_nothing_runs(lab, monkeypatch):
    monkeypatch.setenv("PATH", "")
    status, shown, _ = lab("deploy", "docker", "clothes", "--models", MODELS)
    assert status == 0
    assert "--- Dockerfile\n# clothes v1" in shown


def test_out_writes_everything_that_a_build_needs(lab, tmp_path):
    status, shown, _ = lab("deploy", "docker", "clothes", "--models", MODELS, "--out", str(tmp_path), "--json")
    assert status == 0
    assert json.loads(shown)["image"] == "mlops-lab/clothes:1"
    assert (tmp_path / "Dockerfile").is_file()
    assert (tmp_path / "models" / "clothes" / "1" / "model.onnx").is_file()


@pytest.mark.parametrize("kind", ["docker", "compose"])
def test_what_was_written_is_told_by_its_path(lab, tmp_path, kind):
    status, shown, _ = lab("deploy", kind, "clothes", "--models", MODELS, "--out", str(tmp_path))
    told = [Path(line.removeprefix("wrote ")) for line in shown.splitlines()]
    assert status == 0 and len(told) > 2 and all(path.is_file() and path.is_relative_to(tmp_path) for path in told)


def test_a_missing_docker_is_said_with_its_install_line(lab, monkeypatch):
    monkeypatch.setenv("PATH", "")
    status, _, errors = lab("deploy", "docker", "clothes", "--models", MODELS, "--build")
    assert status == 1
    assert "'docker' is not on the path" in errors
    assert "docs.docker.com" in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clothes", "--version", "1", "--alias", "production"], "both given"),
        (["cloths"], "'clothes'"),
        (["clothes", "--version", "v9"], "'v9'"),
    ],
)
def test_wrong_usage(lab, arguments, words):
    status, _, errors = lab("deploy", "docker", *arguments, "--models", MODELS)
    assert status == 2
    assert words in errors


def test_kubernetes_files_and_their_check(lab, tmp_path):
    status, shown, _ = lab("deploy", "kubernetes", "clothes", "--models", MODELS, "--out", str(tmp_path))
    assert status == 0
    assert f"wrote {tmp_path / 'base' / 'deployment.yaml'}\n" in shown and "kind: Deployment" not in shown
    assert (tmp_path / "base" / "deployment.yaml").is_file()
    status, shown, _ = lab("deploy", "kubernetes", "clothes", "--models", MODELS, "--check", "--json")
    assert status == 0
    assert json.loads(shown)["passed"] is True


def test_tensorflow_serving_s_files_and_the_folder_s_layout(lab, tmp_path):
    status, shown, _ = lab("deploy", "tfserving", "digits", "--models", MODELS)
    assert status == 1, "a scikit-learn model has no SavedModel"
    status, shown, _ = lab("deploy", "tfserving", "clothes", "--models", MODELS)
    assert status == 0
    assert "model_config_list" in shown
    (tmp_path / "clothes" / "v1").mkdir(parents=True)
    assert lab("deploy", "tfserving", "clothes", "--models", MODELS, "--lint")[0] == 0
    status, shown, _ = lab("deploy", "tfserving", "clothes", "--models", str(tmp_path), "--lint")
    assert status == 1
    assert "no folder whose name is a number" in shown


def test_compose_writes_everything_and_runs_nothing(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    arguments = ("--replicas", "3", "--out", str(tmp_path), "--json")
    status, shown, _ = lab("deploy", "compose", "clothes", "--models", MODELS, *arguments)
    assert status == 0
    assert json.loads(shown)["url"] is None
    assert "scale: 3" in (tmp_path / "compose.yaml").read_text()
    assert (tmp_path / "image" / "models" / "clothes" / "1" / "model.onnx").is_file()


@pytest.mark.parametrize("arguments", [["--up"], ["--down"], ["--up", "--down", "--out", "x"], ["--check", "--up"]])
def test_compose_is_told_where_and_what(lab, arguments):
    status, _, errors = lab("deploy", "compose", "clothes", "--models", MODELS, *arguments)
    assert status == 2
    assert "--up" in errors


def test_compose_goes_up_is_asked_and_goes_down(lab, tmp_path, monkeypatch):
    """Nothing runs here but our own server, under the address that the containers would have."""
    from mlops_lab import serve
    from mlops_lab.deploy import compose

    ended = []
    with serve.start(MODELS, name="compose") as server:
        monkeypatch.setattr(compose, "up", lambda spec, files, folder, **settings: server.url)
        monkeypatch.setattr(compose, "down", ended.append)
        arguments = ("deploy", "compose", "clothes", "--models", MODELS, "--out", str(tmp_path))
        status, shown, _ = lab(*arguments, "--up")
        assert status == 0 and "10 golden examples answered" in shown and f"running at {server.url}" in shown
        status, shown, _ = lab(*arguments[:5], "--check", "--json")
        assert status == 0 and json.loads(shown)["smoke"]["examples"] == 10 and len(ended) == 1
        assert lab(*arguments, "--down")[0] == 0 and ended[1] == tmp_path


@pytest.mark.parametrize("command", [["tfserving"], ["compose", "--profile", "tfserving"]])
def test_what_to_know_about_apple_silicon_is_said_before_anything_is_pulled(lab, monkeypatch, command):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    kind, *options = command
    status, _, told = lab("deploy", kind, "clothes", "--models", MODELS, *options)
    assert (status, "Apple Silicon" in told) == (0, True)
    assert "Apple Silicon" not in lab("deploy", "compose", "clothes", "--models", MODELS)[2]


@pytest.mark.parametrize(("program", "word"), [(("docker", "compose"), "--wait"), (("docker-compose",), "--detach")])
def test_tensorflow_serving_is_started_by_either_program(lab, tmp_path, monkeypatch, program, word):
    from mlops_lab.deploy import compose, warmup

    said = []
    monkeypatch.setattr(warmup, "write_warmup", lambda version: None)  # the shipped folder stays as it is
    monkeypatch.setattr(compose, "program", lambda: program)
    monkeypatch.setattr(compose, "run", lambda command: said.append(command))
    arguments = ("--models", MODELS, "--out", str(tmp_path), "--run")
    assert lab("deploy", "tfserving", "clothes", *arguments)[0] == 0
    assert said == [[*program, "--file", str(tmp_path / "compose.yaml"), "up", word]]
