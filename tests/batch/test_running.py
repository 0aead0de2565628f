import csv
import multiprocessing
import subprocess
import sys
import time
from functools import partial

import numpy as np
import psutil
import pyarrow
import pyarrow.parquet as parquet
import pytest

from mlops_lab import batch
from mlops_lab.engines.python import PythonEngine
from mlops_lab.errors import DataError, ServerError, WrongUsage
from mlops_lab.image import InputSpec, encode_png
from mlops_lab.predict import Predictor


@pytest.fixture
def load(shared_models):
    return partial(shared_models.load, "digits", 1)


@pytest.fixture
def pixels(digits):
    return digits.test.images[:150]


@pytest.fixture
def rows(tmp_path, pixels, digits):
    path = tmp_path / "in.npz"
    np.savez(
        path, image=pixels, truth=digits.test.labels[:150], text=np.array(["a", "bcd", "ef"] * 50), other=np.ones(3)
    )
    return path


def of_server(client, pixels):
    """Return what the server answers to the same images."""
    found = client.post("/models/digits/v1", json={"images": pixels.tolist()}).json["predictions"]
    return [(one["label"], one["class"], one["confidence"]) for one in found]


def read(path):
    """Return the answers in a file: label, class and confidence of each row."""
    if path.suffix == ".npz":
        table = dict(np.load(path))
    elif path.suffix == ".parquet":
        table = {name: np.array(column) for name, column in parquet.read_table(path).to_pydict().items()}
    else:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        table = {name: np.array([line[name] for line in lines]) for name in lines[0]}
    return table


def answers(path):
    table = read(path)
    classes, confidences = table["class"].astype(int).tolist(), table["confidence"].astype(float).tolist()
    return list(zip(table["label"].tolist(), classes, confidences, strict=True))


def same(found, expected):
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    # An engine may add in another order where a batch has another size.
    assert np.allclose([one[2] for one in found], [one[2] for one in expected], atol=1e-6)


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".csv"])
def test_the_answers_are_those_of_the_server(load, rows, tmp_path, client, pixels, digits, suffix):
    out = tmp_path / f"out{suffix}"
    report = batch.predict(load, rows, out)
    assert (report.rows, report.failed, report.resumed, report.version) == (150, 0, 0, 1)
    same(answers(out), of_server(client, pixels))
    table = read(out)
    assert list(table) == ["truth", "text", "label", "class", "confidence", "error"]
    assert table["truth"].astype(int).tolist() == digits.test.labels[:150].tolist()
    assert table["text"].tolist() == ["a", "bcd", "ef"] * 50 and set(table["error"]) == {""}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npz", out.name]


def test_parquet_of_files_and_of_pixels(load, tmp_path, client, pixels):
    files = [encode_png(one) for one in pixels]
    identifiers = [f"row {place}" for place in range(150)]
    for column in (files, pixels.tolist()):
        table = pyarrow.table({"id": identifiers, "image": column, "when": [None, 1] * 75})
        parquet.write_table(table, tmp_path / "in.parquet", row_group_size=40)
        batch.predict(load, tmp_path / "in.parquet", tmp_path / "out.parquet", piece=7, part_seconds=0, overwrite=True)
        same(answers(tmp_path / "out.parquet"), of_server(client, pixels))
        kept = parquet.read_table(tmp_path / "out.parquet").to_pydict()
        assert kept["id"] == identifiers and kept["when"] == [None, 1] * 75 and "image" not in kept


def test_a_folder_of_images(load, tmp_path, client, pixels):
    folder = tmp_path / "images" / "deep"
    folder.mkdir(parents=True)
    for place, one in enumerate(pixels[:20]):
        (folder / f"{place:02}.PNG").write_bytes(encode_png(one))
    (folder / "03.PNG").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not an image", encoding="utf-8")
    (folder / "._00.PNG").write_bytes(b"what macOS writes beside an image")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "00-checkpoint.PNG").write_bytes(encode_png(pixels[0]))
    report = batch.predict(load, tmp_path / "images", tmp_path / "out.npz")
    table = read(tmp_path / "out.npz")
    assert table["file"].tolist() == [f"deep/{place:02}.PNG" for place in range(20)]
    good = [place for place in range(20) if place != 3]
    same([answers(tmp_path / "out.npz")[place] for place in good], of_server(client, pixels[good]))
    assert (report.rows, report.failed) == (20, 1)
    assert table["class"][3] == -1 and np.isnan(table["confidence"][3]) and "PNG" in table["error"][3]


def test_a_model_of_numbers_keeps_them(tmp_path):
    spec = InputSpec((2, 2), name="x")
    twice = Predictor("twice", 1, spec, ("a", "b"), PythonEngine(lambda inputs: inputs[:, 0] * inputs[:, 1]))
    numbers = np.array([[[1, 2], [4, 4]], [[3, 1], [4, 4]], [[1e30, 1], [1e30, 4]]], np.float32)
    np.savez(tmp_path / "in.npz", x=numbers)
    report = batch.predict(lambda: twice, tmp_path / "in.npz", tmp_path / "out.npz")
    table = read(tmp_path / "out.npz")
    assert table["label"].tolist() == ["b", "a", ""] and (table["x"] == numbers).all()
    assert report.failed == 1 and "no finite answer" in table["error"][2]  # the others stand
    parquet.write_table(pyarrow.table({"x": numbers.reshape(3, 4).tolist()}), tmp_path / "in.parquet")
    batch.predict(lambda: twice, tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert read(tmp_path / "out.parquet")["label"].tolist() == ["b", "a", ""]
    with pytest.raises(WrongUsage, match="cell of CSV"):
        batch.predict(lambda: twice, tmp_path / "in.npz", tmp_path / "out.csv")


def test_several_processes_give_the_same_file(load, rows, tmp_path):
    seen = []
    batch.predict(load, rows, tmp_path / "one.csv")
    batch.predict(load, rows, tmp_path / "two.csv", processes=2, piece=16, on_rows=lambda *counts: seen.append(counts))
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert seen[0] == (16, 150) and seen[-1] == (150, 150)


KILLED = """
import os, sys, time
from functools import partial
from mlops_lab import batch
from mlops_lab.store import ModelStore

def wait(done, total):
    if done >= 64:
        print("enough", flush=True)
        time.sleep(600)

if __name__ == "__main__":
    load = partial(ModelStore(sys.argv[1]).load, "digits", 1)
    batch.predict(load, sys.argv[2], sys.argv[3], processes=int(sys.argv[4]), piece=16, part_seconds=0, on_rows=wait)
"""


@pytest.mark.parametrize(("processes", "suffix"), [(1, ".csv"), (2, ".npz")])
def test_a_killed_batch_goes_on_where_it_stopped(load, rows, shared_models, tmp_path, processes, suffix):
    program, out = tmp_path / "program.py", tmp_path / f"out{suffix}"
    program.write_text(KILLED, encoding="utf-8")
    arguments = [sys.executable, program, shared_models.root, rows, out, str(processes)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "enough\n"
        workers = psutil.Process(child.pid).children(recursive=True)
        child.kill()
    assert not out.exists()
    parts = tmp_path / f"{out.name}.parts"
    (parts / "part-000000000032-16-0").unlink()  # as if it had been about to be written
    (parts / ".publishing-half").write_bytes(b"half a par")
    report = batch.predict(load, rows, out, piece=50)
    assert (report.resumed, report.rows) == (32, 150) and not parts.exists()
    batch.predict(load, rows, tmp_path / f"straight{suffix}")
    assert answers(out) == answers(tmp_path / f"straight{suffix}")
    assert not psutil.wait_procs(workers, timeout=60)[1]  # the workers ended with the process that was killed


def test_a_killed_worker_is_said(load, rows, tmp_path):
    def kill(done, total):
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(ServerError, match="ended before its time"):
        batch.predict(load, rows, tmp_path / "out.csv", processes=2, piece=8, part_seconds=0, on_rows=kill)
    report = batch.predict(load, rows, tmp_path / "out.csv")
    assert report.resumed >= 8 and report.rows == 150


def interrupted(load, rows, out):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch.predict(load, rows, out, piece=16, on_rows=stop)


def test_only_the_same_job_is_continued(load, rows, tmp_path, models, digits_run, pixels):
    models.publish(digits_run, "digits")
    out = tmp_path / "out.csv"
    interrupted(load, rows, out)
    with pytest.raises(WrongUsage, match="begun with another model: digits v1, and this is digits v2"):
        batch.predict(partial(models.load, "digits", 2), rows, out)
    time.sleep(0.01)
    np.savez(rows, image=pixels)
    with pytest.raises(WrongUsage, match="begun with another identity"):
        batch.predict(load, rows, out)
    (tmp_path / "out.csv.parts" / "job.json").write_text("{", encoding="utf-8")
    with pytest.raises(Exception, match=r"job\.json cannot be read"):
        batch.predict(load, rows, out)


def test_two_processes_do_not_write_one_result(load, rows, tmp_path):
    def again(done, total):
        with pytest.raises(WrongUsage, match="Another process writes"):
            batch.predict(load, rows, tmp_path / "out.csv")

    batch.predict(load, rows, tmp_path / "out.csv", on_rows=again)


def test_what_is_refused_before_anything_is_computed(load, rows, tmp_path, pixels):
    out = tmp_path / "out.csv"
    for source, target, kind, message in [
        (tmp_path / "none.npz", out, DataError, "There is no file"),
        (tmp_path / "in.txt", out, WrongUsage, "Rows cannot be read from"),
        (rows, tmp_path / "out.txt", WrongUsage, "End its name with one of: .npz, .parquet, .csv"),
        (tmp_path / "images", out, WrongUsage, "has no rows"),
        (tmp_path / "text.npz", out, DataError, "Write it with numpy.savez"),
        (tmp_path / "other.npz", out, WrongUsage, "column 'image'.*'images'"),
        (tmp_path / "order.npz", out, DataError, "Fortran"),
        (tmp_path / "objects.npz", out, DataError, "Python objects"),
        (tmp_path / "scalar.npz", out, DataError, "differ in length"),
        (tmp_path / "text.parquet", out, DataError, "Write it as Parquet"),
        (tmp_path / "label.npz", out, WrongUsage, "a column 'label'"),
    ]:
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "text.npz").write_text("no", encoding="utf-8")
        (tmp_path / "text.parquet").write_text("no", encoding="utf-8")
        np.savez(tmp_path / "other.npz", images=pixels)
        np.savez(tmp_path / "order.npz", image=np.asfortranarray(pixels))
        np.savez(tmp_path / "objects.npz", image=np.array([None, "x"]))
        np.savez(tmp_path / "scalar.npz", image=np.float32(1))
        np.savez(tmp_path / "label.npz", image=pixels, label=np.arange(150))
        with pytest.raises(kind, match=message):
            batch.predict(load, source, target)
    batch.predict(load, rows, tmp_path / "other.csv")
    with pytest.raises(WrongUsage, match="exists already"):
        batch.predict(load, rows, tmp_path / "other.csv")
    with pytest.raises(WrongUsage, match="cannot be loaded in another process"):
        batch.predict(lambda: load(), rows, tmp_path / "new.csv", processes=2)
