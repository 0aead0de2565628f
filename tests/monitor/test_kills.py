"""What a durable log acknowledged is there after a SIGKILL, and nothing twice: short forms of the benchmark."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def killed(*options):
    command = [sys.executable, ROOT / "benchmarks" / "log_kills.py", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["doubled"] == 0 and found["integrity"] == "ok" and found["acknowledged"] > found["kills"]
    return found


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the benchmark forks")
@pytest.mark.parametrize("durable", ["--durable", "--no-durable"])
def test_a_killed_writer_loses_nothing_it_acknowledged(durable):
    found = killed("--kills", "12", durable)
    assert durable == "--no-durable" or found["lost"] == 0


@pytest.mark.slow
def test_a_killed_server_loses_no_answer_it_gave():
    assert killed("--server", "--kills", "3")["lost"] == 0
