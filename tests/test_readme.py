"""Every block of the README does what it says: Python runs, and curl gets an answer from a server of its models."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
SHELL = re.findall(r"^```(?:console|bash|sh|shell)\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def commands(block):
    """Return the commands of a block, without prompts and answers, with continued lines joined."""
    lines = block.replace("\\\n", " ").splitlines()
    prompted = any(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ").strip() for line in lines if line.startswith("$ ") or not prompted]


CURLS = [line for block in SHELL for line in commands(block) if line.startswith("curl ")]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A copy of what the README's commands read, so that none of them changes the repository."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("models", "docs"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def port(workplace):
    command = [sys.executable, "-m", "mlops_lab", "serve", "--models", "models", "--port", "0"]
    process = subprocess.Popen(command, cwd=workplace, stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert line.startswith("serving "), line
    yield line.rsplit(":", 1)[1].strip()
    process.terminate()
    assert process.wait(15) == 0
    process.stdout.close()


def test_it_is_short_and_has_blocks_of_both_kinds():
    assert len(TEXT.splitlines()) <= 120
    assert PYTHON
    assert CURLS


@pytest.mark.tensorflow
def test_each_python_block_runs_by_itself(workplace, monkeypatch):
    from mlops_lab import serve

    monkeypatch.chdir(workplace)
    try:
        for number, block in enumerate(PYTHON, start=1):
            exec(compile(block, f"README.md, python block {number}", "exec"), {"__name__": "readme"})
    finally:
        serve.stop_all()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("line", CURLS)
def test_the_curl_lines_are_answered(line, workplace, port):
    there = re.sub(r"((?:127\.0\.0\.1|localhost)):\d+", rf"\1:{port}", line)
    assert port in there
    done = subprocess.run(
        there.replace("curl ", "curl --silent --show-error --fail-with-body --max-time 10 ", 1),
        shell=True, cwd=workplace, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
