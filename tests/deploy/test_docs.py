"""The Python blocks of the deployment's pages run, with only the imports that the pages show."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ELSEWHERE = ("compose.up(", ":8501")  # Docker; a running TensorFlow Serving


def blocks(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block for block in found if not any(word in block for word in ELSEWHERE)]


@pytest.mark.parametrize("page", ["deploy.md", "tfserving.md", "pipeline.md"])
def test_the_python_blocks_run(page, tmp_path):
    assert blocks(page)
    shutil.copytree(ROOT / "models", tmp_path / "models")
    for block in blocks(page):
        # In a process of its own: nothing is imported but by the block.
        done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_the_pages_of_tensorflow_serving_name_what_there_is(tmp_path):
    """The warm-up requests and the linter are called as the page writes it."""
    assert any("deploy.warmup.write_warmup(version)" in block for block in blocks("tfserving.md"))
    assert any('deploy.layout.examine("models/clothes")' in block for block in blocks("tfserving.md"))
