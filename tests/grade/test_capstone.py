"""The capstone: what is read of it without running it, and what one part that fails does to the others."""

import io
import zipfile

import numpy as np
import pytest
from corpus.capstone_sources import CAPSTONE, packed
from corpus_types import edited, write

from mlops_lab.grade.rubric import capstone_files
from mlops_lab.grade.runner import Grading, grade_submission

BROKEN = edited(str(CAPSTONE["train.py"]), ("import numpy as np  # trains", "import nothing_like_it"))


def states(folder, check):
    report = grade_submission(folder, Grading(only=("grade-5",), secret=b"s" * 16, check=check))
    return {part.id.removeprefix("grade-5."): part.state for part in report.by_exercise()["grade-5"].parts}


def test_the_folder_itself_may_be_the_submission(tmp_path):
    assert states(write(tmp_path, CAPSTONE), "grade-5.whole") == {"whole": "passed"}


@pytest.mark.slow
def test_what_needs_a_version_is_blocked_where_there_is_none(tmp_path):
    folder = write(tmp_path, {**CAPSTONE, "train.py": BROKEN})
    assert states(folder, "grade-5.serve") == {"whole": "passed", "models": "failed", "serve": "blocked"}


@pytest.mark.slow
def test_a_version_that_was_handed_in_is_served_where_training_fails(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.zeros((64, 4)))
    files = {**CAPSTONE, "train.py": BROKEN, "models/drawings/1/weights.npz": buffer.getvalue()}
    found = states(write(tmp_path, files), "grade-5.serve")
    assert found == {"whole": "passed", "models": "passed", "serve": "partial"}


@pytest.mark.slow
def test_a_server_that_does_not_start_costs_once(tmp_path):
    files = {**CAPSTONE, "api.py": "raise SystemExit('no')\n"}
    assert states(write(tmp_path, files), "grade-5.serve")["serve"] == "failed"
    assert states(tmp_path, "grade-5.release")["release"] == states(tmp_path, "grade-5.tests")["tests"] == "passed"


def test_an_array_is_read():
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert (capstone_files.arrays(packed(images, np.arange(2)), "images") == images).all()


def archive(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images.npy", data)
    return buffer.getvalue()


def npy(header, body=b""):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


HOSTILE = {
    "larger than it is": npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 28, 28)}"),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"12345678"),
    "a call": npy("__import__('os').getcwd()"),
    "a long header": npy("(" * 5000),
    "no array": b"PK",
    "unfolding": bytes(capstone_files.MOST_DATA + 10),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_no_array_is_more_than_it_is(what):
    with pytest.raises((ValueError, SyntaxError, TypeError)):
        capstone_files.arrays(archive(HOSTILE[what]), "images")


def test_a_new_number_is_no_new_version():
    weights = np.arange(6.0)
    files = [{"a/1/w.npz": packed(weights, weights), "a/1/about.json": number} for number in (b"1", b"2")]
    first, second = map(capstone_files.weights, files)
    assert first == second
    assert first != capstone_files.weights({"a/2/w.npz": packed(weights, weights + 1)})
