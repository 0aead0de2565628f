"""The Python blocks of these pages do what they say, in order."""

import linecache
import re
from pathlib import Path

import pytest
from PIL import Image

from mlops_lab import serve

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ["any_model.md", "api.md", "engines.md", "monitor.md", "validate.md"]


@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_run_in_order(page, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path if page == "any_model.md" else DOCS.parent)  # that page publishes
    blocks = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    namespace = {"__name__": "docs"}
    try:
        for number, block in enumerate(blocks, start=1):
            name = f"{page}, python block {number}"
            linecache.cache[name] = (len(block), None, block.splitlines(True), name)  # as IPython does for its cells
            exec(compile(block, name, "exec"), namespace)
            # What a line prints stands behind it.
            assert capsys.readouterr().out.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
    finally:
        serve.stop_all()


NAMED = re.compile(r"`((?:mlops_lab|serve|tests|tools|benchmarks|docs|notebooks)/(?!\.)[\w./-]*)")


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name
)
def test_the_files_that_a_page_names_exist(page):
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    missing = [name for name in named if not (ROOT / name).exists() and not (ROOT / "mlops_lab" / name).exists()]
    assert not missing


@pytest.mark.parametrize("path", sorted((DOCS / "images").iterdir()), ids=lambda path: path.name)
def test_images_are_opaque(path):
    """A page may be light or dark, and a transparent image made for one cannot be read on the other."""
    with Image.open(path) as image:
        assert image.convert("RGBA").getextrema()[3] == (255, 255)
