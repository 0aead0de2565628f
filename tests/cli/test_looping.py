"""The commands of the loop: a file in place of a name, its history, its workflow and a day."""

import json

import pytest

from mlops_lab import pipeline
from mlops_lab.pipeline import Day, Hour, LoopRun, StageOutcome
from mlops_lab.pipeline.loop.day_report import Event
from mlops_lab.pipeline.loop.history import next_run, write_run

SETTINGS = 'name = "digits"\n[data]\nname = "digits"\nlimit = 900\n[train]\nframework = "sklearn"\n'


@pytest.fixture
def file(tmp_path):
    (tmp_path / "pipeline.toml").write_text(SETTINGS)
    return tmp_path / "pipeline.toml"


def note(file, *states):
    for state in states:
        outcomes = (StageOutcome("data", "cached", 0, "1"), StageOutcome("train", "passed", 1, "<b>"))
        outcomes += (StageOutcome("validate", "failed" if state == "refused" else "passed", 1, "2"),)
        run = LoopRun("digits", "2026-06-01T08:00:00Z", state, "why & how", 1, outcomes)
        write_run(next_run(file.parent / "work"), run)


def test_run_a_file_up_to_a_step(lab, file):
    status, out, err = lab("pipeline", "run", file, "--until", "data", "--json")
    found = json.loads(out)
    assert (status, found["state"], found["outcomes"][0]["name"]) == (0, "stopped", "data"), err
    assert "13 of 13 checks passed" in err
    status, out, err = lab("pipeline", "run", file, "--until", "data")
    assert status == 0 and "= data" in out and "after data, as asked" in out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["run", "pipeline.toml", "--version", "2"], "--version does not go with"),
        (["run", "pipeline.toml", "--until", "dta"], "There is no step 'dta'"),
        (["run", "missing.toml"], "cannot be read"),
        (["run", "digits", "--until", "train"], "--until is for a file of settings"),
        (["status", "pipeline.toml", "--models", "others"], "--models does not go with"),
        (["status", "digits", "--html", "history.html"], "--html is for a file of settings"),
    ],
)
def test_what_is_asked_wrongly(lab, file, monkeypatch, asked, said):
    monkeypatch.chdir(file.parent)
    status, _, err = lab("pipeline", *asked)
    assert status == 2 and said in err


def test_the_history_of_a_file(lab, file):
    status, out, _ = lab("pipeline", "status", file)
    assert status == 0 and "The loop of digits" in out
    note(file, "released", "broken source", "nothing to do")
    page = file.parent / "history.html"
    status, out, _ = lab("pipeline", "status", file, "--html", page)
    assert status == 0
    assert out.splitlines()[-1].split()[:4] == ["2026-06-01T08:00:00", "=", "✓", "✓"] and out.endswith(
        "nothing to do\n"
    )
    text = page.read_text(encoding="utf-8")
    assert text.count("<details") == 3 and "&lt;b&gt;" in text and "<b>" not in text and "prefers-color-scheme" in text
    assert text.count('r="6"') == 9  # a mark for each step that was reached, of each run
    note(file, "refused")
    status, out, _ = lab("pipeline", "status", file, "--json")
    assert (status, [run["state"] for run in json.loads(out)["runs"]][-1]) == (1, "refused")


def test_a_damaged_run_hides_no_other(file):
    note(file, "released", "released")
    (file.parent / "work" / "runs" / "000001.json").write_text("{")
    assert len(pipeline.read_history(file).runs) == 1


def test_the_workflow(lab, file):
    status, out, _ = lab("pipeline", "workflow", file, "--out", file.parent / "here")
    text = (file.parent / "here" / ".github" / "workflows" / "loop.yaml").read_text(encoding="utf-8")
    assert status == 0 and "loop.yaml" in out and "mlops-lab pipeline run pipeline.toml --until train" in text
    assert json.loads(lab("pipeline", "workflow", file, "--json")[1]) == {".github/workflows/loop.yaml": text}


def test_a_day(lab, file, monkeypatch):
    hour = Hour(1_780_300_800.0, "masks", 300, 210, 0, {1: 300}, 0.7, 0.6, 0.8, "nothing to do")
    event = Event(hour.start, "shift", "<masks>")

    def day(folder, *, fast, watch):
        assert (folder, fast) == (None, True)
        watch(hour)
        return Day("digits", (hour,), (event,), (), 3.0)

    monkeypatch.setattr("mlops_lab.pipeline.loop.simulation.day", day)
    picture = file.parent / "day.html"
    status, out, err = lab("pipeline", "day", "--fast", "--html", picture, "--json")
    assert status == 0 and json.loads(out)["hours"][0]["accuracy"] == 0.7 and "masks" in err
    assert "&lt;masks&gt;" in picture.read_text(encoding="utf-8")
