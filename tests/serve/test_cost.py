"""What a small body can cost at most: a short form of the search in ``benchmarks/cost.py``."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc"),
]
ROOT = Path(__file__).parent.parent.parent


def test_no_small_body_costs_much(capsys):
    command = [sys.executable, "benchmarks/cost.py", "--seconds", "15"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    with capsys.disabled():
        print("\n" + found.stdout)
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("worst by") == 3
