"""The workflow is YAML that fits GitHub's schema, and runs the steps of the loop in their order."""

import json
from pathlib import Path

import pytest
import worlds
import yaml

from mlops_lab.errors import WrongUsage
from mlops_lab.pipeline import render_workflow
from mlops_lab.pipeline.loop.history import STEPS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def workflow(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "pipeline.toml").write_text(worlds.SETTINGS)
    files = render_workflow(tmp_path / "deep" / "pipeline.toml")
    assert list(files) == [".github/workflows/loop.yaml"]
    found = yaml.safe_load(files[".github/workflows/loop.yaml"])
    found["on"] = found.pop(True)  # YAML reads an unquoted "on" as true, and GitHub knows
    return found


def test_it_fits_the_schema_of_workflows(workflow):
    import jsonschema

    schema = json.loads((ROOT / "tests" / "data" / "github-workflow.schema.json").read_text(encoding="utf-8"))
    assert [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(workflow)] == []


def test_it_runs_the_steps_in_order_and_keeps_what_they_made(workflow):
    steps = workflow["jobs"]["loop"]["steps"]
    runs = [step["run"] for step in steps if step.get("run", "").startswith("mlops-lab pipeline run")]
    parts = [run.split("--until ")[1] for run in runs[:-1]]
    assert parts == [step for step in STEPS if step in parts] and parts[-1] == "promote"
    assert runs[-1] == "mlops-lab pipeline run deep/pipeline.toml"
    uses = [step["uses"].split("@")[0] for step in steps if "uses" in step]
    assert uses.index("actions/cache/restore") < uses.index("actions/cache/save")
    assert {step["with"]["path"] for step in steps if "cache/" in step.get("uses", "")} == {"deep/work"}
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]


def test_a_folder_outside_of_the_repository(tmp_path):
    (tmp_path / "here" / ".git").mkdir(parents=True)
    (tmp_path / "here" / "pipeline.toml").write_text('name = "digits"\nmodels = "../models"\n')
    with pytest.raises(WrongUsage, match="outside"):
        render_workflow(tmp_path / "here" / "pipeline.toml")
