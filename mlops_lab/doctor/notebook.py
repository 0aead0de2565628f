"""Checks of Jupyter: its server and its kernel may run in two environments, and widgets need the server's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from mlops_lab.doctor.machine import warning
from mlops_lab.findings import Finding
from mlops_lab.serve.background.public_url import Jupyter, find_jupyter

SECONDS = 20.0
# Only the server's own Python knows its prefix and where it looks for the front ends of widgets.
QUERY = "import json, sys, jupyter_core.paths as p; print(json.dumps([sys.prefix, p.jupyter_path('labextensions')]))"


@dataclass(frozen=True)
class FrontEnd:
    """The part of a widget package that runs in the browser, and belongs in the Jupyter server's environment."""

    name: str
    folder: str
    package: str


WIDGETS = FrontEnd("widgets in the browser", "@jupyter-widgets/jupyterlab-manager", "jupyterlab_widgets")
CANVAS = FrontEnd("drawing in the browser", "anywidget", "anywidget")


def check() -> list[Finding]:
    """Check the environment of the Jupyter server that started this kernel; outside a kernel, this environment."""
    if "ipykernel" not in sys.modules:
        return _front_ends(sys.executable, _query(sys.executable))
    jupyter = find_jupyter()
    if jupyter is None:
        message = "No parent process of this kernel is Jupyter, as in VS Code or Colab: its environment is unknown."
        return [Finding(True, message, name="Jupyter")]
    python = _python_of(jupyter)
    paths = _query(python)
    if python is None or paths is None:
        message = f"The environment of process {jupyter.pid} is unknown."
        return [Finding(True, message, "Widgets need jupyterlab_widgets where Jupyter runs.", name="Jupyter")]
    return [_compare(python, paths[0]), *_front_ends(python, paths)]


def _compare(python: str, prefix: str) -> Finding:
    if os.path.realpath(prefix) == os.path.realpath(sys.prefix):
        return Finding(True, "It runs in the environment of this kernel.", name="Jupyter")
    return warning(
        "Jupyter",
        f"It runs in {prefix}, and this kernel in {sys.prefix}.",
        f"Install imports of your code with {sys.executable} -m pip, and widget packages with {python} -m pip.",
    )


def _front_ends(python: str, paths: tuple[str, list[str]] | None) -> list[Finding]:
    if paths is None:  # no Jupyter here
        return []
    wanted = [WIDGETS, *([CANVAS] if util.find_spec("anywidget") else [])]
    return [_front_end(item, python, paths[1]) for item in wanted]


def _front_end(wanted: FrontEnd, python: str, folders: list[str]) -> Finding:
    for folder in folders:
        package = Path(folder, wanted.folder, "package.json")
        if package.is_file():
            version = json.loads(package.read_text(encoding="utf-8")).get("version", "of an unknown version")
            return Finding(True, f"{wanted.folder} {version}", name=wanted.name)
    hint = f"{python} -m pip install {wanted.package}, then restart Jupyter."
    return warning(wanted.name, "The front end is not installed where Jupyter runs: cells stay empty.", hint)


def _query(python: str | None) -> tuple[str, list[str]] | None:
    """Return the prefix of a Python and the folders where its Jupyter looks for front ends."""
    if python is None:
        return None
    try:
        done = subprocess.run([python, "-c", QUERY], capture_output=True, timeout=SECONDS, check=True, text=True)
        prefix, folders = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return prefix, folders


def _python_of(jupyter: Jupyter) -> str | None:
    """Return the Python that runs a Jupyter server, as it was invoked: a resolved path would lose its environment."""
    import psutil

    try:
        process = psutil.Process(jupyter.pid)
        invoked = process.cmdline()[0]
        found = invoked if os.path.isabs(invoked) else shutil.which(invoked, path=process.environ().get("PATH"))
    except (psutil.Error, IndexError):
        return None
    return found if found and Path(found).name.lower().startswith("python") else None
