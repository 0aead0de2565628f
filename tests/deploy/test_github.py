"""The workflow fits GitHub's schema, and its own steps are really run: in a clone, with a remote to push to."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlops_lab import deploy
from mlops_lab.errors import WrongUsage

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "tests" / "data" / "github-workflow.schema.json"
PATH = ".github/workflows/release.yaml"


@pytest.fixture
def workflow():
    return read(deploy.make_spec(ROOT / "models", "clothes"))


@pytest.fixture(scope="module")
def schema():
    import jsonschema  # it takes a second and a half, which only the process that runs these tests should spend

    return jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def read(spec):
    workflow = yaml.safe_load(deploy.files(spec, "github")[PATH])
    workflow["on"] = workflow.pop(True)  # YAML reads an unquoted "on" as true, and GitHub knows
    return workflow


def steps(workflow):
    return workflow["jobs"]["release"]["steps"]


def test_it_fits_the_schema_of_workflows(workflow, schema):
    assert [error.message for error in schema.iter_errors(workflow)] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda workflow: workflow["jobs"]["release"].pop("runs-on"),
        lambda workflow: workflow["jobs"]["release"].update(timeout=30),
        lambda workflow: steps(workflow)[0].update(run="echo"),
        lambda workflow: workflow.update(permissions={"contents": "all"}),
    ],
)
def test_the_schema_notices_what_github_would_refuse(workflow, schema, spoil):
    spoil(workflow)
    assert list(schema.iter_errors(workflow))


def test_it_is_started_by_a_new_version_of_this_model_only(workflow):
    assert workflow["on"]["push"]["paths"] == ["models/clothes/*/manifest.json"]
    assert set(workflow["on"]["workflow_dispatch"]["inputs"]) == {"version", "why"}


def test_no_input_is_text_of_a_script(workflow):
    assert not [step["run"] for step in steps(workflow) if "${{" in step.get("run", "")]


def test_the_files_that_it_names_are_in_the_repository(workflow):
    text = json.dumps(workflow)
    assert "requirements/lab.txt" in text
    assert (ROOT / "requirements" / "lab.txt").is_file() and (ROOT / "models" / "clothes").is_dir()


@pytest.mark.parametrize(("repository", "named"), [(".", "deep/models"), ("deep", "models"), (None, "models")])
def test_the_models_are_named_from_where_the_repository_begins(models, tmp_path, repository, named):
    (tmp_path / "deep").mkdir()
    folder = models.root.rename(tmp_path / "deep" / "models")
    if repository:
        (tmp_path / repository / ".git").mkdir()
    workflow = read(deploy.make_spec(folder, "digits"))
    assert workflow["on"]["push"]["paths"] == [f"{named}/digits/*/manifest.json"]


def test_an_application_of_one_s_own(tmp_path):
    (tmp_path / "api.py").write_text("from server import app\n")
    with pytest.raises(WrongUsage, match="not an application"):
        deploy.files(deploy.make_spec(ROOT / "models", "clothes", app=tmp_path / "api.py"), "github")


# Its steps, as GitHub would run them


def git(folder, *words):
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(models, digits_run, tmp_path, monkeypatch):
    """A clone of a repository with digits v1 in production and v2 just pushed."""
    models.publish(digits_run, "digits")
    models.promote("digits", 1)
    remote, here = tmp_path / "remote.git", tmp_path / "checkout"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch", "main", str(remote))
    git(tmp_path, "clone", "--quiet", str(remote), str(here))
    shutil.copytree(models.root, here / "models")
    shutil.copy(ROOT / ".gitignore", here)
    git(here, "checkout", "--quiet", "-b", "main")
    git(here, "add", ".")
    git(here, "-c", "user.name=me", "-c", "user.email=me@example.com", "commit", "--quiet", "-m", "v2")
    git(here, "push", "--quiet", "--set-upstream", "origin", "main")
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def run_steps(checkout, tmp_path):
    """Run the steps that are commands, with what GitHub would put into their variables; return the exit status."""
    bin = tmp_path / "bin"
    bin.mkdir()
    patient = 'case "$2" in run) set -- "$@" --seconds 1 --budget 60000 --p99 60000 --per-second 1;; esac'
    (bin / "mlops-lab").write_text(f'#!/bin/sh\n{patient}\nexec {sys.executable} -m mlops_lab "$@"\n')
    (bin / "mlops-lab").chmod(0o755)
    variables = {"VERSION": "2", "WHY": 'it is "better"; $(touch hacked)', "GITHUB_STEP_SUMMARY": str(tmp_path / "sum")}
    search = f"{bin}{os.pathsep}{os.environ['PATH']}"
    package = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | variables | {"PATH": search, "PYTHONPATH": package}

    def run():
        status = 0
        for step in steps(read(deploy.make_spec("models", "digits"))):
            if "run" in step and "pip install" not in step["run"] and (not status or step.get("if") == "always()"):
                done = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", step["run"]], env=environment, check=False)
                status = status or done.returncode
        return status

    return run


@pytest.mark.skipif(os.name == "nt", reason="the workflow asks for ubuntu, whose shell is bash")
def test_its_steps_release_a_version_and_push_what_was_decided(checkout, run_steps, tmp_path):
    assert run_steps() == 0
    git(tmp_path, "clone", "--quiet", "remote.git", "fresh")
    pushed = tmp_path / "fresh" / "models" / "digits"
    assert json.loads((pushed / "aliases.json").read_text()) == {"production": 2}
    assert len(list(pushed.glob("2/evidence/release-*.json"))) == 1
    assert "v2 is released" in (tmp_path / "sum").read_text()
    assert not list(pushed.rglob("*.lock")) and not list(checkout.rglob("hacked"))
    assert git(tmp_path / "fresh", "status", "--porcelain") == ""


@pytest.mark.skipif(os.name == "nt", reason="the workflow asks for ubuntu, whose shell is bash")
def test_a_bad_version_fails_the_job_and_its_evidence_is_pushed_all_the_same(checkout, run_steps, tmp_path):
    (checkout / "models" / "digits" / "2" / "model.onnx").write_bytes(b"not a model")
    assert run_steps() == 1
    git(tmp_path, "clone", "--quiet", "remote.git", "fresh")
    pushed = tmp_path / "fresh" / "models" / "digits"
    assert json.loads((pushed / "aliases.json").read_text()) == {"production": 1}
    assert "is refused" in next(pushed.glob("2/evidence/*.json")).read_text()
