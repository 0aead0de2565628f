"""Environments of their own for packages whose pins conflict with ours, or with each other's; made once, then kept."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("MLOPS_LAB_VENVS", ROOT / ".venvs_cache"))


def python_with(name, *requirements, beside_ours=False):
    """Return the Python of an environment that has what is asked.

    With ``beside_ours`` it also sees the packages of this environment, and the requirements come without theirs.
    """
    CACHE.mkdir(exist_ok=True)
    with FileLock(CACHE / f"{name}.lock"):  # tests that run beside each other ask for the same one
        return _made(CACHE / name, requirements, beside_ours)


def _made(folder, requirements, beside_ours):
    name = folder.name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready, wanted = folder / "ready", "\n".join([sys.version, *requirements])
    if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
        return python
    venv.create(folder, with_pip=True, clear=True)
    if beside_ours:
        ours = sysconfig.get_path("purelib")
        site = subprocess.check_output(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
        )
        Path(site.strip(), "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n", encoding="utf-8")
    options = ["--no-deps"] if beside_ours else []
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, *requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"{name} cannot be installed here: {done.stderr[-300:]}")
    ready.write_text(wanted, encoding="utf-8")
    return python
