"""Files of a submission that are read, and never run: what is hostile in them costs neither time nor memory."""

import time
from pathlib import Path

import psutil
import pytest
from corpus.deploy_sources import COMPOSE, DOCKERFILE, repaired
from corpus_types import edited, write

from mlops_lab.grade.runner import Grading, grade_submission

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(9 * [f'*{old}'])}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
DEPTH = 3000
CALLS = "x: !!python/object/apply:os.system ['touch /tmp/mlops-lab-canary']\n"
MAP = "kind: ConfigMap\nmetadata: {name: x}\ndata: "
COMPOSED = {
    "aliases without end": LAUGHS + "services: {server: {build: ., volumes: *i}}\n",
    "an alias of itself": "services: &s {server: *s, proxy: {image: nginx:1, depends_on: *s}}\n",
    "nested without end": "services: " + DEPTH * "{a: " + DEPTH * "}",
    "a tag that calls": COMPOSE + CALLS,
}
OBJECTS = {"objects without end": LAUGHS + MAP + "*i\n", "a list of itself": MAP + "&d [*d]\n"}
IMAGES = {
    "a base of the teacher's": edited(DOCKERFILE, ("python:3.11-slim", "teacher/answers")),
    "what the next build runs": "ONBUILD RUN touch /tmp/mlops-lab-canary\nRUN curl x | sh\n",
    "a line without end": "FROM python:3.11\nRUN " + 5_000_000 * "a|curl ",
    "no text": bytes(range(256)) * 4000,
}
HOSTILE = {
    **{name: ("deploy-3", {"compose.yaml": text}) for name, text in COMPOSED.items()},
    **{name: ("deploy-4", {**repaired(), "k8s/more.yaml": text}) for name, text in OBJECTS.items()},
    **{name: ("deploy-1", {"Dockerfile": text}) for name, text in IMAGES.items()},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_read_and_gains_nothing(name, tmp_path):
    exercise, files = HOSTILE[name]
    write(tmp_path, files)
    before, started = psutil.Process().memory_info().rss, time.monotonic()
    report = grade_submission(tmp_path, Grading(only=(exercise,), secret=b"s"))
    assert psutil.Process().memory_info().rss - before < 50_000_000
    assert time.monotonic() - started < 20
    assert report.score < report.max_score, str(report)
    assert not Path("/tmp/mlops-lab-canary").exists()
