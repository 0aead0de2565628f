"""``mlops-lab monitor``: an object that other programs read, and exit 1 where it hurts."""

import json
import time

import numpy as np
import pytest
from click.testing import CliRunner

from mlops_lab.cli import commands
from mlops_lab.data import Split
from mlops_lab.monitor import PredictionLog, disturb, load_reference, rehearsal
from mlops_lab.predict import PredictionEvent


@pytest.fixture(scope="module")
def places(shared_models, digits, tmp_path_factory):
    """The logs of a quiet day and of a bad one."""
    folder, predictor = tmp_path_factory.mktemp("logs"), shared_models.load("digits")
    # Held-out images, drawn again and again: digits has only 359 of them.
    drawn = np.random.default_rng(0).choice(len(digits.test), 400)
    calm = Split(digits.test.images[drawn], digits.test.labels[drawn])
    for name, split in (("quiet", calm), ("bad", disturb(calm, "masks", 1.0))):
        with PredictionLog(folder / f"{name}.db") as log:
            rows = predictor.probabilities(split.images)
            log.append(PredictionEvent(name, time.time(), predictor, split.images, rows, 0.1))
    return folder


@pytest.fixture
def monitor(shared_models, places, monkeypatch):
    monkeypatch.setattr(rehearsal, "WINDOWS_OF_A_KIND", 8)
    monkeypatch.setattr(rehearsal, "QUIET_WINDOWS", 40)

    def run(command, log, *options):
        line = ["monitor", command, "--log", str(places / log), "--models", str(shared_models.root), *options]
        return CliRunner().invoke(commands, line)

    return run


@pytest.mark.parametrize("command", ["report", "drift"])
def test_the_object_has_what_was_promised(monitor, command):
    found = monitor(command, "quiet.db", "--json")
    assert found.exit_code == 0, found.output
    values = json.loads(found.output)
    assert values["changed"] is False and values["harmful"] is False
    low, high = values["estimate"]["interval"]
    assert low <= values["estimate"]["accuracy"] <= high
    assert isinstance(values["estimate"]["trust"], bool)
    assert isinstance(values["labels_needed"], int) and values["evidence"]


def test_harm_exits_with_one(monitor):
    found = monitor("drift", "bad.db", "--json", "--model", "digits")
    assert found.exit_code == 1
    assert json.loads(found.output)["harmful"] is True
    assert "harmful: yes" in monitor("drift", "bad.db").output


def test_a_dashboard_is_a_file(monitor, tmp_path):
    found = monitor("dashboard", "bad.db", "--out", str(tmp_path / "m.html"))
    assert found.exit_code == 0
    assert (tmp_path / "m.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("more", [(), ("--data", "digits")])
def test_a_reference_is_made_on_command(models, monkeypatch, more):
    monkeypatch.setattr(rehearsal, "WINDOWS_OF_A_KIND", 4)
    monkeypatch.setattr(rehearsal, "QUIET_WINDOWS", 20)
    line = ["monitor", "reference", "digits", "--models", str(models.root), "--json", *more]
    found = json.loads(CliRunner().invoke(commands, line).output)
    assert found["predictions"] == 359 and found["rehearsals"] > 0
    assert load_reference(models, "digits").to_dict() == found


def test_what_is_not_there_is_said(monitor, places):
    assert "no prediction log" in str(monitor("drift", "none.db").exception)
    assert "no predictions of 'clothes'" in str(monitor("drift", "quiet.db", "--model", "clothes").exception)
