import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "hostile_mutations.py"


def figures(seed, count):
    """Run the mutations in a process of their own: a crash or a hang of five seconds ends it with a status."""
    result = subprocess.run([sys.executable, TOOL, str(seed), str(count)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


def judge(found, count):
    assert sum(found["codes"].values()) == count
    assert found["memory_mb"] < 300
    assert "audit_failed" not in found["codes"], "a finding of its own is better than the net below"


def test_a_few_hundred_mutations_each_get_a_verdict():
    judge(figures(0, 420), 420)


@pytest.mark.slow
def test_ten_thousand_mutations_each_get_a_verdict():
    judge(figures(1, 10_000), 10_000)
