"""Gradescope: a report as ``results.json``, and the autograder's zip."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import Any

from mlops_lab.errors import WrongUsage
from mlops_lab.grade.report import Report
from mlops_lab.grade.results import CheckResult

SETUP = """#!/usr/bin/env bash
# Gradescope runs this once, when it builds the image.
set -euo pipefail
apt-get update && apt-get install -y python3 python3-pip python3-venv bubblewrap
python3 -m venv /opt/mlops-lab
/opt/mlops-lab/bin/pip install {installed}
"""

RUN = """#!/usr/bin/env bash
# Gradescope runs this for each submission.
ROOT="${{AUTOGRADER_ROOT:-/autograder}}"
PYTHON="${{MLOPS_LAB_PYTHON:-/opt/mlops-lab/bin/python}}"
mkdir -p "$ROOT/results"
"$PYTHON" -m mlops_lab grade "$ROOT/submission" {options} --secret "$ROOT/source/secret" --json \\
  > "$ROOT/results/report.json"
"$PYTHON" -m mlops_lab.grade.exporters.gradescope "$ROOT/results/report.json" "$ROOT/results/results.json"
"""


def results(report: Report) -> dict[str, Any]:
    """Return a report as Gradescope's ``results.json``.

    Parameters
    ----------
    report
        Of one submission.

    Examples
    --------
    >>> leaf = CheckResult("data-3.range", "Values from 0 to 1", "failed", 0, 2, "A value is above 1.")
    >>> results(Report("ann", (leaf,)))["tests"][0]["status"]
    'failed'
    """
    return {
        "score": report.score,
        "execution_time": report.seconds,
        "output": "\n".join(report.warnings),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "stdout_visibility": "hidden",
        "tests": [_entry(leaf) for leaf in report.checks],
        "extra_data": {"report": report.to_dict()},
    }


def _entry(leaf: CheckResult) -> dict[str, Any]:
    lines = [leaf.summary]
    if not leaf.full:
        lines += [
            f"{name}: {text}" for name, text in (("expected", leaf.expected), ("received", leaf.received)) if text
        ]
        lines += [leaf.hint] if leaf.hint else []
    return {
        "name": f"{leaf.id}: {leaf.title}",
        "score": leaf.points,
        "max_score": leaf.max_points,
        "status": "passed" if leaf.full else "failed",
        "output": "\n".join([*lines, *(f"warning: {text}" for text in leaf.warnings)]),
        "tags": [leaf.state],
        "visibility": "visible",
    }


def autograder(
    path: str | Path, only: Iterable[str], secret: bytes, *, requirement: str = "mlops-lab",
    rubric: str | Path | None = None,
) -> Path:  # fmt: skip
    """Write the zip that Gradescope takes as an autograder.

    Parameters
    ----------
    path
        The zip.
    only
        Stages or exercises to grade.
    secret
        What held-out cases are drawn from; it stays on Gradescope's machine.
    requirement
        What ``pip install`` is given: a version, the address of a wheel, or a wheel's file, which is packed.
    rubric
        A folder with exercises of one's own, whose files are packed.

    Raises
    ------
    WrongUsage
        There is no such wheel.
    """
    path, words = Path(path), ",".join(only)
    wheel = Path(requirement) if requirement.endswith(".whl") and "://" not in requirement else None
    if wheel is not None and not wheel.is_file():
        raise WrongUsage(f"There is no wheel {wheel}.", "Build one: python -m build --wheel.")
    packed = {wheel.name: wheel} if wheel is not None else {}
    packed |= {f"rubric/{one.name}": one for one in sorted(Path(rubric).glob("*.py"))} if rubric is not None else {}
    options = f"--only {words}" if words else ""
    files = {
        "setup.sh": SETUP.format(installed=f'"$(dirname "$0")"/{quote(wheel.name)}' if wheel else quote(requirement)),
        "run_autograder": RUN.format(options=f'{options} --rubric "$ROOT/source/rubric"' if rubric else options),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, text)
        archive.writestr("secret", secret)
        for name, file in packed.items():
            archive.write(file, name)
    return path


def main(arguments: list[str]) -> None:
    """Turn a report's file into ``results.json``; where there is no report, say so instead of nothing."""
    source, target = map(Path, arguments)
    try:
        values = results(Report.from_dict(json.loads(source.read_text(encoding="utf-8"))))
    except Exception as error:  # whatever happened, the student is told something
        values = {
            "score": 0,
            "output": f"The grader broke; this is not your fault. {type(error).__name__}",
            "tests": [],
        }
    target.write_text(json.dumps(values, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
