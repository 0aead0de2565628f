"""The pages of the site: the notebooks as students get them, run, with what each cell shows.

Running them takes minutes, so their outputs are cached until a notebook, this package or another package changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import mlops_lab
from mlops_lab.course import static_widgets
from mlops_lab.course.building import Built, clone, sources, write
from mlops_lab.course.notebooks import as_notebook, as_text
from mlops_lab.course.sources import Cell
from mlops_lab.course.starting import start
from mlops_lab.store.shipped import shipped_models

AT_A_TIME = 2
SECONDS = 600  # for one cell, on a machine that has other work
NOTE = """\
:::{note}
This is the notebook as you get it, with what it shows when it is run: no exercise is answered yet, so each check gives
its first hint, and each question waits for a guess. [Widgets](../widgets.md) are static here; in a notebook they
respond. `mlops-lab start my-course` makes your own copy.
:::
"""
# Runs before the notebook and is no part of the page. No browser is there to show the drawing area.
BEFORE = """\
import socket as _socket
from mlops_lab.widgets import drawing as _drawing

def _local_only(self, address, _connect=_socket.socket.connect):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise ConnectionRefusedError(f"The notebook reaches for the network: {address}")
    return _connect(self, address)

_socket.socket.connect = _local_only
_drawing.SECONDS = 10**6
"""
_LINK = re.compile(r'(href="\d\d_\w+)\.ipynb"')


def build_pages(
    pages: str | Path,
    folder: str | Path | None = None,
    *,
    cache: str | Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Built:
    """Write the pages of the site: every student's notebook, run in a folder of its own, two at a time.

    Parameters
    ----------
    pages
        Where they go.
    folder
        What holds ``src``; by default ``notebooks`` in the clone.
    cache
        Where the pages are kept until something changes; without it every notebook is run.
    report
        Called with a line for each notebook that has run.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell raised: no student may meet that.
    """
    lessons = sources(Path(folder) if folder is not None else None)
    books = {name: as_text(as_notebook(_with_notes(cells))) for name, cells in lessons.items()}
    kept = _Kept(Path(cache)) if cache is not None else None

    def page(name: str) -> str:
        found = kept.find(name, books[name]) if kept else None
        if found is None:
            found = run(books[name])
            report(f"{name} has run")
            if kept:
                kept.keep(name, books[name], found)
        return found

    last_first = list(reversed(books))  # those of the later stages take longest
    with ThreadPoolExecutor(AT_A_TIME) as runners:
        texts = dict(zip(last_first, runners.map(page, last_first), strict=True))
    return write({Path(pages) / f"{name}.ipynb": text for name, text in texts.items()})


def _with_notes(cells: Sequence[Cell]) -> list[Cell]:
    """Put a cell before the notebook that is no part of the page, and a note for readers below the title."""
    return [Cell("code", BEFORE), *cells[:1], Cell("markdown", NOTE), *cells[1:]]


def run(text: str) -> str:
    """Run a notebook in a new folder of ``mlops-lab start``, and return it as a page, without its first cell.

    Its servers end with its kernel.
    """
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory(prefix="mlops-lab-page-") as place:
        course = start(Path(place, "my-course")).folder
        client = NotebookClient(
            book,
            timeout=SECONDS,
            coalesce_streams=True,
            record_timing=False,
            resources={"metadata": {"path": course}},
            extra_arguments=["--log-level=ERROR"],  # a kernel warns that it speaks without encryption, on this machine
        )
        # An event loop of its own, which is closed at the end: several notebooks run at a time, in threads.
        asyncio.run(client.async_execute(env={**os.environ, "IPYTHONDIR": str(Path(place, "ipython"))}))
        del book.cells[0]
        return as_text(_as_page(book, {str(course): "my-course", str(clone().parent): "mlops-lab"}))


def _as_page(book: Any, names: dict[str, str]) -> dict[str, Any]:
    """Return a notebook that has run as a page: static widgets, links to pages, short names of folders."""
    models = book.metadata.pop("widgets", {}).get(static_widgets.STATE, {}).get("state", {})
    for number, cell in enumerate((cell for cell in book.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
            if "data" in output:
                output.data = _data(output.data, models)
            for shown in (output, output.get("data", {})):
                for kind, value in shown.items():
                    if kind in ("text", "text/plain", "text/html"):
                        shown[kind] = _short(value, names)
    return dict(book)


def _data(data: Any, models: static_widgets.Models) -> Any:
    """Return one form of an output, the one that a page shows."""
    if static_widgets.VIEW in data:
        return {"text/html": static_widgets.as_html(data[static_widgets.VIEW]["model_id"], models)}
    if "text/html" in data:
        return {"text/html": _LINK.sub(r'\1.html"', data["text/html"])}
    return data


def _short(text: str, names: dict[str, str]) -> str:
    for path, name in names.items():
        text = text.replace(path, name)
    return text


class _Kept:
    """Pages in a folder, each under the name of its notebook and a digest of all that it depends on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.surroundings = _surroundings()

    def _path(self, name: str, text: str) -> Path:
        return self.folder / f"{name}-{hashlib.sha256(self.surroundings + text.encode()).hexdigest()[:16]}.ipynb"

    def find(self, name: str, text: str) -> str | None:
        path = self._path(name, text)
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def keep(self, name: str, text: str, page: str) -> None:
        for old in self.folder.glob(f"{name}-*.ipynb"):
            old.unlink()
        write({self._path(name, text): page})


def _surroundings() -> bytes:
    """Return a digest of what a page depends on besides its notebook: this package, models and what is installed."""
    digest = hashlib.sha256()
    package = Path(mlops_lab.__file__).resolve().parent
    for folder in (package, shipped_models(), clone() / "files"):
        for path in _files(folder):
            digest.update(f"\0{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    for line in sorted(f"{one.name} {one.version}" for one in metadata.distributions()):
        digest.update(f"\0{line}".encode())
    return digest.digest()


def _files(folder: Path) -> Iterable[Path]:
    """Return the files of a folder, without those that running the package leaves there."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return sorted(path for path in found if not path.name.endswith(".lock"))
