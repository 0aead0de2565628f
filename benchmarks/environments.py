"""An environment of its own for each peer, pinned in `peers/<name>/requirements.txt` and made on first use.

    python benchmarks/environments.py [NAME …]        makes them, or those named

The environments lie in `benchmarks/.venvs_cache`, which git ignores; delete the folder to make them anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
CACHE = HERE / ".venvs_cache"
NAMES = tuple(sorted(path.parent.name for path in PEERS.glob("*/requirements.txt")))


def interpreter(name: str) -> Path:
    """Return the Python of a peer's environment; make the environment if its requirements are new."""
    folder, requirements = CACHE / name, PEERS / name / "requirements.txt"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    installed = folder / "installed.txt"  # written last, so that half an environment counts as none
    if not installed.exists() or installed.read_bytes() != requirements.read_bytes():
        print(f"installing {name} into {folder}", file=sys.stderr, flush=True)
        venv.create(folder, clear=True, with_pip=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
        subprocess.run([python, *install], check=True)
        installed.write_bytes(requirements.read_bytes())
    return python


def main() -> None:
    """Make the environments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    for name in parser.parse_args().names or NAMES:
        print(interpreter(name))


if __name__ == "__main__":
    main()
