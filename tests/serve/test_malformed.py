"""Malformed requests to a live server: a short form of ``benchmarks/malformed.py``, whose long form has 100,000."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent


def test_no_malformed_request_is_answered_with_5xx():
    command = [sys.executable, "benchmarks/malformed.py", "--requests", "2000", "--seed", "15"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "; 0 of 5xx or without an answer" in found.stdout
    assert "0 tracebacks" in found.stdout
