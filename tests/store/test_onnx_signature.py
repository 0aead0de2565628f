"""What an ONNX file says of itself, read without ONNX: compared with what the onnx package reads."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from mlops_lab.store.compat.onnx_signature import describe_signature, read_signature

FIELD = Path(__file__).parents[1] / "data" / "field"


def model(inputs, outputs, weights=()):
    """Return the bytes of an ONNX file with nothing but a signature: (name, type, shape) for each tensor."""
    sides = [[helper.make_tensor_value_info(*item) for item in items] for items in (inputs, outputs)]
    arrays = [helper.make_tensor(name, 1, [1], [0.0]) for name in weights]
    return helper.make_model(helper.make_graph([], "graph", *sides, arrays)).SerializeToString()


@pytest.mark.parametrize("path", sorted(FIELD.glob("*.onnx")), ids=lambda path: path.stem)
def test_names_and_shapes_are_those_of_the_onnx_package(path):
    graph = onnx.load(path).graph
    for found, wanted in zip(read_signature(memoryview(path.read_bytes())), (graph.input, graph.output), strict=True):
        assert [item.name for item in found] == [item.name for item in wanted]
        for item, real in zip(found, wanted, strict=True):
            if real.type.HasField("tensor_type"):
                sides = [side.dim_value for side in real.type.tensor_type.shape.dim]
                assert [side if isinstance(side, int) else 0 for side in item.shape] == sides
                assert item.dtype == np.dtype(helper.tensor_dtype_to_np_dtype(real.type.tensor_type.elem_type)).name


@pytest.mark.parametrize(
    ("inputs", "outputs", "told"),
    [
        ([("x", 1, ["N", 3])], [("y", 1, ["N", 2])], "It takes 'x': float32 of shape [n, 3], and answers 'y': float32"),
        ([("x", 11, [None, 3])], [("y", 11, [None])], "'x': float64 of shape [n, 3], and answers 'y': float64"),
        ([("x", 7, ["N"]), ("z", 9, None)], [("y", 10, ["N", "k"])], "'x': int64 of shape [n], 'z': bool, and answers"),
        (
            [("x", 8, ["N", 1])],
            [("y", 1, ["N", "k"])],
            "'x': text of shape [n, 1], and answers 'y': float32 of shape [n, ?]",
        ),
        ([("x", 1, [4, 3])], [("y", 1, [4, 2])], "takes exactly 4 examples at a time"),
        ([("x", 11, ["N", 3])], [("y", 1, ["N"])], "takes float64, not float32"),
        ([(f"x{n}", 1, ["N"]) for n in range(9)], [("y", 1, ["N"])], " and 3 more, and answers"),
    ],
)
def test_sentences(inputs, outputs, told):
    assert told in " ".join(describe_signature(memoryview(model(inputs, outputs))))


def test_an_ordinary_model_has_no_remarks_and_its_weights_are_no_inputs():
    data = model([("x", 1, ["N", 3]), ("w", 1, [1])], [("y", 1, ["N", 2]), ("label", 7, ["N"])], weights=["w"])
    (sentence,) = describe_signature(memoryview(data))
    assert "'w'" not in sentence


def test_a_name_in_the_file_cannot_write_on_the_terminal():
    data = model([("\x1b[31mx", TensorProto.UINT8, [1, 3])], [("y", 1, [1])])
    assert not any("\x1b" in sentence for sentence in describe_signature(memoryview(data)))


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 4000), piece=st.binary(max_size=8))
def test_damage_raises_value_errors_alone(place, piece):
    data = (FIELD / "zipmap.onnx").read_bytes()
    place %= len(data)
    try:
        describe_signature(memoryview(data[:place] + piece + data[place + len(piece) :]))
    except ValueError:
        return
