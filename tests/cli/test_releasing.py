"""The commands validate, load-test and pipeline: exit statuses, and what they print. Here processes really run."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from mlops_lab import pipeline, serve

FAST = ["--seconds", "0.3", "--clients", "2", "--p99", "60000", "--per-second", "1", "--budget", "5000"]


@pytest.fixture
def url(two):
    return serve.start(two).url


def test_validate(lab, two, url):
    status, out, _ = lab("validate", url, "--name", "digits", "--models", two.root, "--budget", 5000)
    assert status == 0, out
    assert "Contract of digits v2" in out and "Acceptance of digits v2" in out


def test_validate_says_no(lab, two, url):
    asked = ["validate", url, "--name", "digits", "--models", two.root, "--accuracy", 0.999, "--budget", 5000]
    status, out, _ = lab(*asked, "--json")
    assert status == 1
    assert json.loads(out)["contract"]["passed"] and not json.loads(out)["acceptance"]["passed"]


def test_validate_a_version_by_name_and_be_refused_its_promotion(lab, two):
    asked = ["validate", "digits", "--version", 2, "--models", two.root, "--json"]
    status, out, _ = lab(*asked)
    found = json.loads(out)
    assert (status, found["passed"]) == (0, True)
    folder = two.root / "digits" / "2"
    assert {path.name for path in (folder / "evidence").glob("*.json")} >= {"gates.json", "quality.json", "groups.json"}
    assert "## Quality" in (folder / "README.md").read_text(encoding="utf-8")
    (two.root / "digits" / "gates.toml").write_text("[quality]\nmin_accuracy = 0.999\n")
    status, out, _ = lab(*asked, "--no-server")
    assert status == 1
    assert [gate["name"] for gate in json.loads(out)["failed"]] == ["accuracy"]
    promote = ["models", "promote", "digits", 2, "--models", two.root]
    status, out, err = lab(*promote)
    assert (status, out, two.aliases("digits")) == (1, "", {"production": 1})
    assert "quality: accuracy" in err and "missed by" in err and "test[" in err
    assert lab(*promote, "--force", "--why", "we know")[0] == 0
    assert two.aliases("digits") == {"production": 2}


def test_validate_with_data_of_ones_own(lab, two, tmp_path, digits):
    np.savez(tmp_path / "mine.npz", images=digits.test.images[:200], labels=digits.test.labels[:200])
    asked = ["validate", "digits", "--models", two.root, "--data", tmp_path / "mine.npz", "--no-server"]
    status, out, _ = lab(*asked)
    assert status == 0, out
    assert "on 200 examples" in out and "digits v2 passes" in out


def test_validate_a_model_that_there_is_not(lab, two):
    status, _, err = lab("validate", "digts", "--models", two.root)
    assert status == 2 and "Did you mean 'digits'" in err


def test_load(lab, two, url):
    asked = ["load-test", url, "--name", "digits", "--version", "production", "--models", two.root]
    status, out, _ = lab(*asked, "--seconds", 0.3, "--p99", 60000, "--per-second", 0.1, "--json")
    assert (status, json.loads(out)["statuses"].keys()) == (0, {"200"})
    status, out, _ = lab(*asked, "--seconds", 0.3, "--p99", 0.001)
    assert status == 1
    assert "unmet: p99 is" in out


def test_an_open_load(lab, two, url):
    asked = ["load-test", url, "--name", "digits", "--models", two.root, "--json", "--p99", 60000, "--per-second", 0.1]
    status, out, _ = lab(*asked, "--rate", 40, "--shape", "ramp", "--seconds", 0.5)
    assert json.loads(out)["requests"] == 10 and json.loads(out)["plan"]["shape"] == "ramp"
    assert status == (0 if json.loads(out)["verdict"] == "passed" else 1)


def test_nobody_answers(lab, two):
    status, out, err = lab("load-test", "http://127.0.0.1:1", "--name", "digits", "--models", two.root)
    assert (status, out) == (1, "")
    assert "No server answers" in err


def test_a_release_with_real_processes_and_its_status(lab, two):
    status, out, err = lab("pipeline", "run", "digits", "--version", 2, "--models", two.root, *FAST, "--why", "better")
    assert (status, err) == (0, ""), out
    assert out.splitlines()[-1] == "digits v2 is released; production was v1"
    assert two.aliases("digits") == {"production": 2}
    status, out, _ = lab("pipeline", "status", "digits", "--models", two.root)
    assert status == 0
    assert "better" in out and "✓ verify" in out


def test_a_bad_version_is_refused(lab, two):
    (two.root / "digits" / "2" / "model.onnx").write_bytes(b"not a model")
    status, out, err = lab("pipeline", "run", "digits", "--models", two.root, *FAST, "--json")
    assert status == 1
    assert json.loads(out)["state"] == "refused"
    assert "✗ build" in err
    assert two.aliases("digits") == {"production": 1}
    status, out, _ = lab("pipeline", "status", "digits", "--models", two.root, "--json")
    assert (status, json.loads(out)["under_way"]) == (1, False)


def test_a_release_that_was_killed_is_told_as_it_stood(lab, two):
    kept = pipeline.Release("digits", 2, "local", 1, 2, "2026-01-02T03:04:05Z", "me", "in a hurry")
    pipeline.journal.write_evidence(two, kept)
    status, out, _ = lab("pipeline", "status", "digits", "--models", two.root)
    assert status == 1
    assert "was interrupted" in out and "v2 is being released; production is v2" in out
    with pipeline.journal.release_lock(two.root / "digits"):
        status, out, _ = lab("pipeline", "status", "digits", "--models", two.root)
    assert (status, "was interrupted" in out) == (0, False)


def test_no_release_yet(lab, two):
    assert lab("pipeline", "status", "digits", "--models", two.root)[:2] == (
        0,
        "digits has no releases.\n",
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_whoever_ends_the_program_gets_production_as_it_was_and_no_server_is_left(two):
    command = [sys.executable, "-m", "mlops_lab", "pipeline", "run", "digits", "--models", two.root, *FAST]
    command += ["--seconds", 60]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("… load"):
            break
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    process.stdout.close()
    assert process.wait(60) == 130
    assert children and not [child for child in children if child.is_running()]
    last = pipeline.last(two, "digits")
    assert (last.state, last.reason) == ("refused", "load: it was interrupted")
    assert two.aliases("digits") == {"production": 1}
