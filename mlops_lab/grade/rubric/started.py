"""For one check: start the server of a folder in a sandbox, or define the functions of one of its files there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Failed
from mlops_lab.grade.live import SandboxServer, gather
from mlops_lab.grade.remote import RemoteTarget
from mlops_lab.grade.sandbox import Sandbox
from mlops_lab.grade.sandbox.tree import put
from mlops_lab.store.reading import read_below

MOST = 200_000  # bytes of a program


@contextmanager
def server(folder: Path | None, models: Mapping[str, bytes] | None = None) -> Iterator[SandboxServer]:
    """Give the running ``api.py`` of a folder, copied with what stands beside it.

    Parameters
    ----------
    folder
        Where it is.
    models
        Files that are put in ``models``, by their names, where the folder brings none.

    Raises
    ------
    Failed
        There is none, or it did not start.
    """
    if folder is None or not (folder / "api.py").is_file():
        raise Failed("There is no api.py.", hint="missing", expected="api.py", received="nothing")
    with tempfile.TemporaryDirectory(prefix="mlops-lab-") as gathered:
        gather(folder.resolve() / "api.py", Path(gathered))
        if not os.path.lexists(Path(gathered, "models")):
            for name, content in (models or {}).items():
                put(Path(gathered), Path("models", name), content)
        with Sandbox(gathered) as sandbox, closing(SandboxServer(sandbox, "api.py")) as started:
            yield started


@contextmanager
def functions(folder: Path | None, file: str, *names: str) -> Iterator[Answer]:
    """Give what a file of a folder defines, called in a sandbox.

    Raises
    ------
    Failed
        There is no such file, or it cannot be run.
    """
    text = text_of(folder, file)
    if folder is None or not text:
        raise Failed(f"There is no {file}.", hint="missing", expected=file, received="nothing")
    with RemoteTarget(folder, [(file, text)]) as target:
        yield Answer(target, names, folder / file)


def text_of(folder: Path | None, name: str) -> str:
    """Return the text of a file of a folder; empty where there is no plain file of that name."""
    try:
        return read_below(folder, name, MOST).decode("utf-8", "replace") if folder is not None else ""
    except OSError:
        return ""
