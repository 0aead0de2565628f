"""Load more than two hundred files for real, with and without their settings of compile. Takes a minute."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_lab.store import check

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    command = [sys.executable, str(ROOT / "tools" / "keras_corpus.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads((folder / "answers.json").read_text())
    return {name: (answer, check(folder / name)) for name, answer in answers.items()}


def test_the_corpus_is_large_and_mixed(corpus):
    answers = [tuple(answer) for answer, _ in corpus.values()]
    assert len(answers) >= 200
    assert min(answers.count(kind) for kind in ((True, True), (False, True), (False, False))) >= 5


def test_the_verdict_is_what_keras_answers(corpus):
    verdicts = {name: [report.loads, report.loads_without_compile] for name, (_, report) in corpus.items()}
    assert verdicts == {name: answer for name, (answer, _) in corpus.items()}


def test_what_does_not_load_is_explained(corpus):
    for name, (_, report) in corpus.items():
        assert report.loads or (report.reasons and report.hint), name


def test_what_keras_loads_is_safe_but_for_lookups(corpus):
    unsafe = {name: report.code for name, (answer, report) in corpus.items() if answer[1] and not report.safe}
    assert unsafe == {"integer_lookup.keras": "lookup_layer", "integer_lookup.h5": "lookup_layer"}
