"""The notebook: Jupyter and its kernel may run in two environments, and the widgets' front ends belong to Jupyter's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from mlops_lab.doctor.findings import Finding
from mlops_lab.serve.background.places import Jupyter, find_jupyter

SECONDS = 20.0
# What Jupyter's own Python knows best: where it lives, and where it looks for the front ends of widgets.
ASK = "import json, sys, jupyter_core.paths as p; print(json.dumps([sys.prefix, p.jupyter_path('labextensions')]))"


@dataclass(frozen=True)
class FrontEnd:
    """The half of a widget package that runs in the browser, and so belongs to Jupyter's environment."""

    subject: str
    folder: str
    package: str


WIDGETS = FrontEnd("widgets in the browser", "@jupyter-widgets/jupyterlab-manager", "jupyterlab_widgets")
CANVAS = FrontEnd("drawing in the browser", "anywidget", "anywidget")


def look() -> list[Finding]:
    """Look at the environment of the Jupyter server that started this kernel; outside a kernel, at this one."""
    if "ipykernel" not in sys.modules:
        return _front_ends(sys.executable, _ask(sys.executable))
    jupyter = find_jupyter()
    if jupyter is None:
        found = "none among the parents of this kernel, as in VS Code or Colab: its environment cannot be told"
        return [Finding("Jupyter", "ok", found)]
    python = _python_of(jupyter)
    told = _ask(python)
    if python is None or told is None:
        found = f"process {jupyter.pid}; its environment cannot be told"
        return [Finding("Jupyter", "ok", found, "Widgets need jupyterlab_widgets installed where Jupyter runs.")]
    return [_compare(python, told[0]), *_front_ends(python, told)]


def _compare(python: str, prefix: str) -> Finding:
    if os.path.realpath(prefix) == os.path.realpath(sys.prefix):
        return Finding("Jupyter", "ok", "runs in the environment of this kernel")
    return Finding(
        "Jupyter",
        "warning",
        f"runs in {prefix}, and this kernel in {sys.prefix}",
        f"Install what your code imports with {sys.executable} -m pip, what draws widgets with {python} -m pip.",
    )


def _front_ends(python: str, told: tuple[str, list[str]] | None) -> list[Finding]:
    if told is None:  # no Jupyter here
        return []
    wanted = [WIDGETS, *([CANVAS] if util.find_spec("anywidget") else [])]
    return [_front_end(item, python, told[1]) for item in wanted]


def _front_end(wanted: FrontEnd, python: str, folders: list[str]) -> Finding:
    for folder in folders:
        package = Path(folder, wanted.folder, "package.json")
        if package.is_file():
            version = json.loads(package.read_text(encoding="utf-8")).get("version", "of an unknown version")
            return Finding(wanted.subject, "ok", f"{wanted.folder} {version}")
    fix = f"{python} -m pip install {wanted.package}, then start Jupyter again."
    return Finding(wanted.subject, "warning", "its front end is not where Jupyter runs: cells stay empty", fix)


def _ask(python: str | None) -> tuple[str, list[str]] | None:
    """Ask a Python where it lives and where its Jupyter looks for front ends."""
    if python is None:
        return None
    try:
        said = subprocess.run([python, "-c", ASK], capture_output=True, timeout=SECONDS, check=True, text=True).stdout
        prefix, folders = json.loads(said)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return prefix, folders


def _python_of(jupyter: Jupyter) -> str | None:
    """Return the Python that runs a Jupyter server, as it was called: only so its environment is known."""
    import psutil

    try:
        process = psutil.Process(jupyter.pid)
        called = process.cmdline()[0]
        found = called if os.path.isabs(called) else shutil.which(called, path=process.environ().get("PATH"))
    except (psutil.Error, IndexError):
        return None
    return found if found and Path(found).name.lower().startswith("python") else None
