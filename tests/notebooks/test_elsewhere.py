"""What notebook 6 does where Docker or Ray is there, and what it says where neither is.

The cells of one section run without the rest of the notebook, after the cell that the notebook begins with.
"""

import contextlib
import importlib.util
import io
import re
import subprocess
import tempfile
from pathlib import Path

import nbformat
import psutil
import pytest

from mlops_lab.course.notebooks import chosen
from mlops_lab.course.sources import read

ROOT = Path(__file__).parents[2]
CELLS = chosen(read(ROOT / "notebooks" / "src" / "06_deploy.py"), "student")
DOCKER, RAY = "### An image, built and run", "## Past one machine: Ray"
# Imports, a model in a folder of its own, and its files; then what the release in the notebook leaves.
SETUP = next(cell.text for cell in CELLS if "spec = deploy.make_spec(" in cell.text)
RELEASED = 'models.promote("digits", 1)'


def code_of(heading):
    """Return the code of the cells below a heading, as far as the next one."""
    found, inside = [], False
    for cell in CELLS:
        if cell.kind == "markdown" and (headings := re.findall(r"^##+ .*$", cell.text, re.MULTILINE)):
            inside = headings[-1] == heading
        elif cell.kind == "code" and inside:
            found.append(cell.text)
    assert found, heading
    return [SETUP, RELEASED, *found]


@pytest.fixture
def without_engines(monkeypatch, tmp_path):
    """Return a function that runs a section where there is neither Docker nor Ray; return what it prints."""

    find_spec, call = importlib.util.find_spec, subprocess.run

    def find(name, package=None):
        return None if name == "ray" else find_spec(name, package)

    def start(command, **more):
        if command[0] == "docker":
            raise FileNotFoundError(command[0])
        return call(command, **more)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(subprocess, "run", start)

    def run(heading):
        names, printed = {"__name__": "notebook"}, io.StringIO()
        with contextlib.redirect_stdout(printed):
            for text in code_of(heading):
                exec(compile(text, heading, "exec"), names)
        return printed.getvalue()

    return run


@pytest.fixture
def in_a_kernel(tmp_path):
    """Return a function that runs a section in a kernel; return what it prints, on standard error too."""
    from nbclient import NotebookClient

    def run(heading):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in code_of(heading)])
        NotebookClient(book, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
        outputs = [output for cell in book.cells for output in cell.outputs if output.output_type == "stream"]
        return {name: "".join(one.text for one in outputs if one.name == name) for name in ("stdout", "stderr")}

    return run


def measured(text):
    """Return the figures of a text with their units."""
    return set(re.findall(r"\b[\d.]+ (?:MB|GB|s)\b", text))


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        (DOCKER, "No Docker engine answers here (docker info).\nIt would build an image from these files"),
        (RAY, "Ray is not installed here (pip install 'mlops-lab[ray]'). It would start two replicas"),
    ],
)
def test_what_it_would_do_is_said_with_figures_that_were_measured(without_engines, heading, said):
    printed = without_engines(heading)
    assert said in printed
    documented = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    rounded = documented + "0.7 s" * ("median 0.71 s" in documented) + "14 s" * ("14.4 s to the first" in documented)
    assert len(measured(printed)) >= 3
    assert not [figure for figure in measured(printed) if figure not in rounded]


@pytest.mark.docker
@pytest.mark.timeout(600)
def test_the_image_is_built_run_asked_and_stopped(in_a_kernel):
    shown = in_a_kernel(DOCKER)
    assert shown["stderr"] == ""
    printed = shown["stdout"]
    assert re.search(r"^Docker [\d.]+\S* answers\.\n\$ docker build --network host --tag mlops-lab/", printed, re.M)
    assert re.search(r"^[\d.]+ s after docker run it says: \d", printed, re.M)
    assert re.search(r"^\$ docker stop --time 15 (\S+)\n\$ docker rm \1$", printed, re.M)
    name = re.search(r"^\$ docker rm (\S+)$", printed, re.M)[1]
    left = subprocess.run(["docker", "ps", "--all", "--quiet", "--filter", f"name={name}"], capture_output=True)
    assert left.stdout == b""


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_replicas_answer_through_our_server_and_one_may_die(in_a_kernel):
    before = {process.pid for process in psutil.process_iter()}
    shown = in_a_kernel(RAY)
    assert shown["stderr"] == ""
    printed = shown["stdout"]
    assert re.search(r"^\d+ s until a replica answered, through our server: \d", printed, re.M)
    assert re.search(r"^digits-v1-[0-9a-f]{8} RUNNING 2 replicas$", printed, re.M)
    assert "1 of 2 replicas was killed: 40 answers, 0 requests failed\n" in printed
    assert re.search(r"^0 of \d+ processes are left$", printed, re.M)
    left = [one for one in psutil.process_iter(["name"]) if one.pid not in before and "ray" in one.info["name"]]
    assert not left
