"""What a durable log acknowledged is there after a SIGKILL, and nothing twice: the short form of the benchmark."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the benchmark forks")
@pytest.mark.parametrize("durable", ["--durable", "--no-durable"])
def test_a_killed_writer_loses_nothing_it_acknowledged(durable):
    command = [sys.executable, ROOT / "benchmarks" / "log_kills.py", "--kills", "25", durable]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["doubled"] == 0 and found["integrity"] == "ok" and found["acknowledged"] > 25
    assert durable == "--no-durable" or found["lost"] == 0
