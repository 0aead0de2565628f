"""Run a script under another Keras: fetch its wheel once, then put it first on the path.

Keras 3 wheels are pure Python and run on the TensorFlow of this environment. Keras 2.15 needs its own environment
(``tensorflow-cpu==2.15.1``), which is made once; it takes a few hundred megabytes and needs Python 3.11 or older.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent / ".keras_cache"
KERAS_2 = "2.15.0"
VERSIONS = [
    KERAS_2, "3.0.5", "3.1.1", "3.2.1", "3.3.3", "3.4.1", "3.5.0", "3.6.0", "3.7.0",
    "3.8.0", "3.9.2", "3.10.0", "3.11.3", "3.12.4", "3.13.2", "3.14.1", "3.15.1",
]  # fmt: skip


def run(version: str, script: Path, *arguments: str, timeout: float = 900) -> str:
    """Run a script under that Keras and return what it printed."""
    python, path = interpreter(version)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
    environment["PYTHONPATH"] = os.pathsep.join([str(path), str(_extras())]) if path else ""
    environment["KERAS_BACKEND"] = "tensorflow"
    answer = subprocess.run(
        [str(python), str(script), *arguments], env=environment, capture_output=True, text=True, timeout=timeout
    )
    if answer.returncode:
        raise RuntimeError(f"Keras {version}: {script.name} failed.\n{answer.stderr[-4000:]}")
    return answer.stdout


def interpreter(version: str) -> tuple[Path, Path | None]:
    """Return the Python to run and the folder to put on its path for a Keras version."""
    if version.startswith("2."):
        return _keras_2(), None
    return Path(sys.executable), unpacked(version)


def unpacked(version: str) -> Path:
    """Return the folder of an unpacked Keras wheel, fetched by pip if it is not there yet."""
    folder = CACHE / f"keras-{version}"
    if not folder.exists():
        _pip(sys.executable, "download", "--no-deps", "--dest", str(CACHE), f"keras=={version}")
        wheel = CACHE / f"keras-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder.with_suffix(".part"))
        wheel.unlink()
        folder.with_suffix(".part").rename(folder)
    return folder


def _extras() -> Path:
    """Return a folder with dm-tree, which Keras 3.0 to 3.3 import and newer TensorFlow does not bring."""
    folder = CACHE / "extras"
    if not folder.exists():
        _pip(sys.executable, "install", "--no-deps", "--target", str(folder), "dm-tree")
    return folder


def _keras_2() -> Path:
    """Return the Python of an environment with Keras 2.15, made if it is not there yet."""
    folder = CACHE / "keras2"
    python = folder / "bin" / "python"
    done = folder / "ready"
    if not done.exists():
        venv.create(folder, with_pip=True, clear=True)
        _pip(str(python), "install", "tensorflow-cpu==2.15.1", "numpy<2")
        done.touch()
    return python


def _pip(python: str, *arguments: str) -> None:
    command: Sequence[str] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)
