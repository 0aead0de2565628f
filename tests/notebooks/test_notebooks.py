"""Every notebook runs from top to bottom, twice in one kernel, without a network, and says nothing on stderr."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TRAINS = {"03_store"}
RUN = [pytest.param(path, marks=[pytest.mark.tensorflow] * (path.stem in TRAINS), id=path.stem) for path in NOTEBOOKS]

# Runs before the notebook: only this machine can be reached.
NO_NETWORK = """
import socket as _socket
_connect = _socket.socket.connect
def _local_only(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"the notebook reaches for the network: {address}")
    return _connect(self, address)
_socket.socket.connect = _local_only
"""


def by_name(path):
    return path.stem


@pytest.fixture(scope="module", params=RUN)
def executed(request):
    """Return the cells of a notebook after a first and a second run in the same kernel."""
    from nbclient import NotebookClient

    once = nbformat.read(request.param, as_version=4).cells
    again = nbformat.read(request.param, as_version=4).cells
    guard = nbformat.v4.new_code_cell(NO_NETWORK)
    for place, cell in enumerate([*once, *again]):
        cell.id = f"cell-{place}"  # the same notebook twice would have each id twice
    both = nbformat.v4.new_notebook(cells=[guard, *once, *again])
    client = NotebookClient(both, timeout=120, resources={"metadata": {"path": str(request.param.parent)}})
    client.execute()
    return [*once, *again]


def outputs(cells):
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_runs_twice_in_one_kernel(executed):
    ran = [cell.execution_count for cell in executed if cell.cell_type == "code"]
    assert ran == list(range(2, len(ran) + 2))
    assert not [output for output in outputs(executed) if output.output_type == "error"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_says_nothing_on_standard_error(executed):
    assert not [output.text for output in outputs(executed) if output.get("name") == "stderr"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_image_has_alt_text(executed):
    html = "".join(output.data.get("text/html", "") for output in outputs(executed) if "data" in output)
    images = re.findall(r"<img [^>]*>", html)
    assert images
    assert not [tag[:80] for tag in images if not re.search(r'alt="[^"]+"', tag)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_output_loads_anything_from_elsewhere(executed):
    html = "".join(output.data.get("text/html", "") for output in outputs(executed) if "data" in output)
    assert not re.findall(r"<script|(?:src|href)=\"https?:", html)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_it_is_stored_without_outputs(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert not outputs(book.cells)
    assert not re.search(r"/(home|root|tmp|work)/", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_cells_are_short(path):
    cells = nbformat.read(path, as_version=4).cells
    assert max(len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code") <= 12
