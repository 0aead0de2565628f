"""The reference of the site has every public name, command, route, setting and error code."""

import dataclasses
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlops_lab import cli, monitor, serve
from mlops_lab.serve import Limits
from mlops_lab.store.safety.codes import CODES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Make the pages as the site does, in a process of its own: tools/ is no package."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, ROOT / "tools" / "reference.py", folder], check=True)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_every_room_has_a_page(pages):
    hidden = {"cli", "doctor", "summary"}  # described by its commands, a command, and offered by the monitor
    rooms = {path.parent.name for path in (ROOT / "mlops_lab").glob("*/__init__.py")} - hidden
    assert rooms <= {name.removesuffix(".md") for name in pages}


@pytest.mark.parametrize("module", ["data", "train", "store", "serve", "validate", "deploy", "monitor", "grade"])
def test_every_function_and_class_that_a_stage_offers_is_described(pages, module):
    found = importlib.import_module(f"mlops_lab.{module}")
    text = Path(found.__file__).read_text(encoding="utf-8")
    offered = re.findall(r"import \w+ as (\w+)$", text, re.MULTILINE) or dir(found)
    offered = [name for name in offered if callable(getattr(found, name)) and not name.startswith("_")]
    missing = [name for name in offered if not re.search(rf"\b{module}\.{name}\b", pages[f"{module}.md"])]
    assert offered and not missing


def test_every_command_is_described(pages):
    def named(*words):
        text = CliRunner().invoke(cli.commands, [*words, "--help"]).output
        return re.findall(r"^  (\w[\w-]*)(?:  .*)?$", text.partition("\nCommands:\n")[2], re.MULTILINE)

    first = named()
    assert {"serve", "predict", "models", "check", "grade"} <= set(first)
    paths = [*first, *(f"{word} {below}" for word in first for below in named(word))]
    missing = [path for path in paths if f"\n## mlops-lab {path}\n" not in pages["commands.md"]]
    assert not missing


def test_every_route_is_described(pages, tmp_path):
    with monitor.PredictionLog(tmp_path / "predictions.db") as log:
        rules = {rule.rule for rule in serve.create_app([], log=log).url_map.iter_rules()}
    assert "/models/<name>/feedback" in rules
    assert not [rule for rule in rules if f"| `{rule}` |" not in pages["routes.md"]]


def test_every_setting_is_described_with_its_default(pages):
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \| .+ \|$", pages["settings.md"], re.MULTILINE))
    assert rows == {field.name: repr(field.default) for field in dataclasses.fields(Limits)}


def test_every_error_code_is_described(pages):
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "mlops_lab").rglob("*.py")]
    given = re.compile(r'(?:\(|, )code="([a-z_]+)"|^    code(?:: str)? = "([a-z_]+)"', re.MULTILINE)
    codes = {code for text in sources for found in given.findall(text) for code in found if code}
    assert {"gate_failed", "overloaded"} <= codes and "onnx_cycle" in CODES
    codes |= set(CODES)
    assert not [code for code in codes if f"`{code}`" not in pages["errors_and_codes.md"]]


def test_every_page_is_reached_from_an_entry_page():
    entries = [DOCS / f"{name}.md" for name in ("student", "instructor", "engineer", "maintainer")]
    listed = {line for entry in entries for line in entry.read_text(encoding="utf-8").splitlines()}
    pages = {page.stem for page in DOCS.glob("*.md")} - {entry.stem for entry in entries} - {"index"}
    assert not pages - listed
