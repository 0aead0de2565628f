"""Build a release and try it: sdist, the wheel from that sdist, an empty environment, the demo in it.

    python tools/release.py --out dist                     installs what requirements/student.txt locks: minutes
    python tools/release.py --out dist --packages-of-this  takes the packages of the Python that runs it

Needs hatchling, which requirements/lab.txt has. Nothing is uploaded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STUDENT = ROOT / "requirements" / "student.txt"
SERVER = ROOT / "mlops_lab" / "deploy" / "requirements" / "serve.txt"


def build(out: Path) -> tuple[Path, Path]:
    """Build the sdist of the working tree, and the wheel of what is in the sdist; return both."""
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    run([sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(out)], ROOT)
    sdist = newest(out, "*.tar.gz")
    with tempfile.TemporaryDirectory() as made:
        with tarfile.open(sdist) as archive:
            archive.extractall(made, filter="data")
        (unpacked,) = Path(made).iterdir()
        run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)], unpacked)
    return sdist, newest(out, "*.whl")


def install(wheel: Path, folder: Path, lock: Path | None) -> Path:
    """Install a wheel into a new environment; return the environment's ``mlops-lab``.

    With a lock the environment holds what it names and nothing else; without one, the packages of this Python.
    """
    venv.create(folder, with_pip=True)
    bin = folder / ("Scripts" if os.name == "nt" else "bin")
    python = bin / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if lock is None:
        inside = run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip()
        Path(inside, "packages.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    else:
        run([*pip, "--require-hashes", "-r", str(lock)], folder)
    run([*pip, "--no-deps", str(wheel)], folder)
    return bin / "mlops-lab"


def demonstrate(command: Path, folder: Path) -> str:
    """Run the demo where nothing of the repository is near; return what it printed."""
    version = run([str(command), "--version"], folder)
    return version + run([str(command), "demo", "--epochs", "1", "--out", "demo"], folder)


def newest(folder: Path, pattern: str) -> Path:
    """Return the file that was written last."""
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)


def run(command: list[str], folder: Path) -> str:
    """Run a command in a folder, without this repository on Python's path; return what it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def main() -> None:
    """Build, install, demonstrate, and say what was built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("dist"))
    parser.add_argument("--packages-of-this", action="store_true")
    options = parser.parse_args()
    built = build(options.out)
    with tempfile.TemporaryDirectory() as made:
        command = install(built[1], Path(made) / "environment", None if options.packages_of_this else STUDENT)
        print(demonstrate(command, Path(made)))
    for path in built:
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
