"""Models of every task: the cells of a row are what the server answers, but for the probabilities."""

import math

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest
from task_models import BY_NAME, CASES, HOUSE, VALUE, arrays, model

from mlops_lab import batch
from mlops_lab.batch.answers import answer
from mlops_lab.errors import WrongUsage


def cells(prediction):
    """Return what the server answers as the cells of a row."""
    if "outputs" in prediction:
        named = prediction["outputs"].items()
        return {f"{name}.{key}": value for name, one in named for key, value in cells(one).items()}
    kept = {key: value for key, value in prediction.items() if key != "probabilities"}
    return {key: ", ".join(value) if key == "labels" else value for key, value in kept.items()}


def rows_of(name):
    """Return the columns of a model's case as files hold them: images as pixels, text as text."""
    columns = {}
    for spec in BY_NAME[name].signature.inputs:
        array = arrays(name)[spec.name]
        columns[spec.name] = array * 255 if spec.mode == "rgb" else array.astype(str) if spec.dtype == "str" else array
    return columns


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_every_task(name, suffix, tmp_path):
    source, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    columns = rows_of(name)
    if suffix == ".npz":
        np.savez(source, **columns)
    else:
        parquet.write_table(pyarrow.table({key: array.tolist() for key, array in columns.items()}), source)
    report = batch.predict(lambda: BY_NAME[name], source, out, piece=2)
    assert report.failed == 0
    if suffix == ".npz":
        found = {key: array.tolist() for key, array in np.load(out).items()}
    else:
        found = parquet.read_table(out).to_pydict()
    expected = [cells(prediction) for prediction in CASES[name][1]]
    images = {spec.name for spec in BY_NAME[name].signature.inputs if spec.size}
    assert list(found) == [*(key for key in columns if key not in images), *expected[0], "error"]
    assert [{key: found[key][row] for key in expected[0]} for row in range(len(expected))] == expected


@pytest.mark.parametrize("name", CASES)
def test_a_row_without_an_answer_has_cells_of_the_same_type(name):
    columns = {key: list(array) for key, array in rows_of(name).items()}
    good = answer(BY_NAME[name], columns)
    spoilt = {key: [object(), *items] for key, items in columns.items()}
    for rows in (spoilt, {key: items[:1] for key, items in spoilt.items()}):
        found = answer(BY_NAME[name], rows)
        assert found["error"][0] and not found["error"][1:].any()
        for key in good:
            assert found[key].dtype.kind == good[key].dtype.kind and found[key].shape[1:] == good[key].shape[1:]
            assert found[key][1:].tolist() == good[key].tolist()[: len(found[key]) - 1]


def test_a_table_in_one_column_for_each_number(tmp_path):
    table = {"id": ["a", "b"], "area": [100.0, 2.0], "rooms": [3, 1]}
    parquet.write_table(pyarrow.table(table), tmp_path / "in.parquet")
    np.savez(tmp_path / "in.npz", **{key: np.array(column) for key, column in table.items()})
    for source in ("in.parquet", "in.npz"):
        batch.predict(lambda: BY_NAME["price"], tmp_path / source, tmp_path / "out.csv", overwrite=True)
        lines = (tmp_path / "out.csv").read_text().splitlines()
        assert lines == ["id,area,rooms,value,error", "a,100.0,3,80.0,", "b,2.0,1,11.0,"]
    np.savez(tmp_path / "less.npz", area=np.ones(2))
    with pytest.raises(WrongUsage, match="takes a column 'rooms'"):
        batch.predict(lambda: BY_NAME["price"], tmp_path / "less.npz", tmp_path / "less.csv")


def test_one_row_that_an_engine_cannot_answer_does_not_spoil_the_others():
    odd = model("odd", HOUSE, VALUE, lambda house: {"price": np.where(house[:, :1] > 5, np.nan, house[:, :1])})
    found = answer(odd, {"house": np.array([[1, 1], [9, 1], [3, 1]], np.float32)})
    assert found["value"][[0, 2]].tolist() == [1.0, 3.0] and math.isnan(found["value"][1])
    assert [bool(error) for error in found["error"]] == [False, True, False]
