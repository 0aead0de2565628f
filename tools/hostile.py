"""Build the corpus of hostile model files that the audit must refuse.

The payloads are harmless: code in them would touch one canary file, and the tests assert that it never appears::

    python tools/hostile.py /tmp/hostile          # writes the files, and expected.json beside them
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import hostile_archives
import hostile_configs
import hostile_others
import hostile_weights
from hostile_base import Case

CANARY = "canary.txt"


def corpus(canary: Path) -> list[Case]:
    """Return every hostile file; ``canary`` is the file that their code would touch."""
    found = [
        *hostile_archives.cases(),
        *hostile_configs.cases(canary),
        *hostile_weights.cases(canary),
        *hostile_others.cases(canary),
    ]
    names = [case.name for case in found]
    assert len(names) == len(set(names)), "two hostile files bear one name"
    return found


def build(folder: Path) -> dict[str, str]:
    """Write the corpus and return the expected code of each file by name."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = corpus(folder / CANARY)
    for case in cases:
        case.write(folder)
    return {case.name: case.code for case in cases}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    expected = build(target)
    (target / "expected.json").write_text(json.dumps(expected, indent=1))
    print(f"{len(expected)} hostile files in {target}")
