"""What is released: one version in one place, and a wheel that does the main job away from this project."""

import ast
import json
import re
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import yaml

import mlops_lab

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import release  # noqa: E402


def test_the_version_stands_in_one_place():
    version = re.escape(mlops_lab.__version__)
    for name in ("pyproject.toml", "CITATION.cff", "README.md", "environment.yml"):
        assert not re.search(rf"(?<![\d.]){version}(?![\d.])", (ROOT / name).read_text(encoding="utf-8")), name
    assert f"## {mlops_lab.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_how_to_cite():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == "MIT" and citation["authors"] == [{"name": "The mlops_lab authors"}]


def test_the_workflow_runs_the_fast_tests_on_three_systems():
    import jsonschema

    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yaml").read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)  # YAML reads an unquoted "on" as true, and GitHub knows
    schema = json.loads((ROOT / "tests" / "data" / "github-workflow.schema.json").read_text(encoding="utf-8"))
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(workflow)] == []
    matrix = workflow["jobs"]["fast"]["strategy"]["matrix"]
    assert len(matrix["system"]) == 3 and matrix["python"] == ["3.11", "3.13"]
    fast = re.search(r"^FAST := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert f'-m "{fast}"' in workflow["jobs"]["fast"]["steps"][-1]["run"]


# Starts `mlops-lab serve` where there is no models folder, and asks the address that it prints.
SERVED = """
import re, subprocess, sys, urllib.request
with subprocess.Popen([sys.argv[1], "serve", "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
    for line in server.stdout:
        found = re.search(r"http://[0-9.:]+", line)
        if found:
            break
    print(urllib.request.urlopen(found[0] + "/models/clothes/v1").status)
    server.terminate()
"""
# Runs a notebook in a kernel of this very environment.
EXECUTED = """
import sys, nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], as_version=4)
book.cells.insert(0, nbformat.v4.new_code_cell("import mlops_lab, sys; assert sys.prefix in mlops_lab.__file__"))
NotebookClient(book, timeout=200).execute()
print(sys.prefix, "ran")
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return release.build(tmp_path_factory.mktemp("dist"))


@pytest.mark.slow
def test_what_is_in_sdist_and_wheel(built):
    sdist, wheel = built
    version = mlops_lab.__version__
    assert (sdist.name, wheel.name) == (f"mlops_lab-{version}.tar.gz", f"mlops_lab-{version}-py3-none-any.whl")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "LICENSE",
        "CITATION.cff",
        "tests/test_release.py",
        "models/clothes/1/model.onnx",
    } <= names
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    assert all(name.startswith(("mlops_lab/", f"mlops_lab-{version}.dist-info/")) for name in inside)
    kept = {path.relative_to(ROOT).as_posix() for path in (ROOT / "mlops_lab").rglob("*") if path.is_file()}
    assert {name for name in kept if "__pycache__" not in name} <= inside
    given = {f"mlops_lab/course/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("notebooks/*.ipynb")}
    assert given and given <= inside and "mlops_lab/course/models/clothes/1/model.onnx" in inside
    assert not [name for name in inside if "solutions/" in name or "notebooks/src" in name]


@pytest.mark.slow
def test_the_wheel_does_the_main_job_in_an_environment_of_its_own(built, tmp_path):
    command = release.install(built[1], tmp_path / "environment", None)
    where = [str(command.parent / "python"), "-c", "import mlops_lab; print(mlops_lab.__file__)"]
    assert str(tmp_path) in release.run(where, tmp_path)
    printed = release.demonstrate(command, tmp_path)
    assert f"mlops-lab, version {mlops_lab.__version__}" in printed
    assert "10,000" in printed and (tmp_path / "demo").is_dir()
    # What it says to do next, and what a student does who has the wheel alone.
    assert "mlops-lab serve --models demo/models" in printed and "mlops-lab start FOLDER" in printed
    python = str(command.parent / "python")
    assert release.run([str(command), "models", "list"], tmp_path).startswith("clothes: v1")
    assert release.run([python, "-c", SERVED, str(command)], tmp_path) == "200\n"
    assert "Next: cd mine" in release.run([str(command), "start", "mine"], tmp_path)
    notebooks = sorted(path.name for path in (tmp_path / "mine").glob("*.ipynb"))
    assert len(notebooks) == 8
    for name in notebooks:
        ran = release.run([python, "-c", EXECUTED, name], tmp_path / "mine")
        assert ran == f"{tmp_path / 'environment'} ran\n", name


# The folders on Python's path outside its own library: of an environment that is its own, one.
OUTSIDE = "import sys; print([one for one in sys.path if 'site-packages' in one or 'dist-packages' in one])"


def install_alone(wheel, requirements, place):
    """Install a wheel into a wholly empty environment; return its command, its Python, and where its packages are."""
    began = time.monotonic()
    command = release.install(wheel, place / "environment", requirements)
    print(f"installed in {time.monotonic() - began:.0f} s")
    python = str(command.parent / "python")
    (packages,) = ast.literal_eval(release.run([python, "-c", OUTSIDE], place))
    assert Path(packages).is_relative_to(place)
    return command, python, Path(packages)


@pytest.mark.slow
def test_the_wheel_serves_and_predicts_with_the_packages_of_a_server_alone(built, tmp_path):
    command, python, packages = install_alone(built[1], release.SERVER, tmp_path)
    assert not (packages / "tensorflow").exists()
    assert release.run([python, "-c", SERVED, str(command)], tmp_path) == "200\n"
    boot = str(ROOT / "docs" / "images" / "boot.png")
    assert "boot.png: Ankle boot (" in release.run([str(command), "predict", boot], tmp_path)


@pytest.mark.slow
def test_what_a_student_installs_does_the_main_job(built, tmp_path):
    command, python, _ = install_alone(built[1], release.STUDENT, tmp_path)
    began = time.monotonic()
    printed = release.demonstrate(command, tmp_path)
    print(f"demonstrated in {time.monotonic() - began:.0f} s")
    assert "10,000 test images over HTTP" in printed
    assert release.run([python, "-c", SERVED, str(command)], tmp_path) == "200\n"
    boot = str(ROOT / "docs" / "images" / "boot.png")
    asked = [str(command), "predict", "--models", "demo/models", boot]
    assert "boot.png: Ankle boot (" in release.run(asked, tmp_path)
