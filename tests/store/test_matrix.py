"""Ask the real readers again: Keras wheels of many versions, fetched once by pip. Takes minutes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_lab.errors import IncompatibleFile
from mlops_lab.store import compat
from mlops_lab.store.compat import migrate

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
LENET = DATA / "keras-matrix" / "files"
KINDS = DATA / "keras-kinds" / "files"
FIXTURES = ROOT / "tools" / "keras_fixtures.py"
READERS = ["2.15.0", "3.0.5", "3.4.1", "3.12.4", "3.14.1", "3.15.1"]
WRITERS = ["2.15.0", "3.2.1", "3.11.3", "3.14.1", "3.15.1"]

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="Keras 2.15 needs Python 3.11"),
]


def read(version, pairs):
    """Return what a Keras version answers to files, each with the predictions that it should give."""
    words = [f"{path}={expected}" for path, expected in pairs]
    done = subprocess.run([sys.executable, FIXTURES, "read", version, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return {Path(path): answer for path, answer in json.loads(done.stdout).items()}


def lenet(writer):
    return LENET / f"{writer.replace('2.15.0', 'tf2.15')}_lenet.keras"


def sources():
    """Yield each file to read with its predictions: a few writers of every kind."""
    for writer in WRITERS:
        files = [lenet(writer), lenet(writer).with_suffix(".h5"), *sorted(KINDS.glob(f"{writer}_*"))]
        yield from ((path, path.with_suffix(".npy")) for path in files if path.suffix != ".npy")


@pytest.mark.parametrize("reader", READERS)
def test_the_verdict_is_what_a_real_reader_answers(reader):
    for path, answer in read(reader, sources()).items():
        report = compat.check(path, f"keras=={reader}")
        assert report.loads == (answer == "ok"), (path.name, answer, report.reasons)


@pytest.mark.parametrize("reader", READERS)
def test_what_was_migrated_loads_in_a_real_reader_with_the_same_predictions(tmp_path, reader):
    pairs, refused = [], []
    for writer in ("2.15.0", "3.12.4", "3.15.1"):
        for path in [lenet(writer), *sorted(KINDS.glob(f"{writer}_*.keras"))]:
            try:
                migrate(path, tmp_path / path.name, f"keras=={reader}", verify=False)
                pairs.append((tmp_path / path.name, path.with_suffix(".npy")))
            except IncompatibleFile:
                refused.append(path.name.split("_")[1])
    assert set(refused) <= {"sink.keras", "recur.keras"}  # attention and masks; see docs/compatibility.md
    answers = read(reader, pairs)  # the reader compares with 1e-6
    assert len(answers) >= 9
    assert set(answers.values()) == {"ok"}


@pytest.mark.parametrize(("writer", "target"), [("3.15.1", "2.15.0"), ("2.15.0", "3.15.1"), ("2.15.0", "3.3.3")])
def test_a_graph_crosses_between_keras_2_and_keras_3(tmp_path, writer, target):
    source = tmp_path / "source_fork.keras"
    subprocess.run([sys.executable, FIXTURES, "fork", writer, source], check=True, capture_output=True)
    migrate(source, tmp_path / "out_fork.keras", f"keras=={target}")
    answers = read(target, [(tmp_path / "out_fork.keras", source.with_suffix(".npy"))])
    assert list(answers.values()) == ["ok"]
