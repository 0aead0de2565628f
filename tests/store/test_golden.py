import threading

import numpy as np
import pytest

from mlops_lab.engines import onnx
from mlops_lab.errors import DamagedArtifact
from mlops_lab.image import InputSpec
from mlops_lab.predict import Predictor
from mlops_lab.store.golden import GoldenLimits, golden_answers


def model(steps):
    """Return a model that multiplies matrices as often as it is told, and answers two probabilities."""
    from onnx import TensorProto, helper, numpy_helper

    square = numpy_helper.from_array(np.full((1200, 1200), 1 / 1200, np.float32), "w")
    ends = numpy_helper.from_array(np.full((1200, 2), 1 / 2400, np.float32), "e")
    start = numpy_helper.from_array(np.ones((2, 1200), np.float32), "s")
    nodes = [helper.make_node("MatMul", ["x", "s"], ["h0"])]
    nodes += [helper.make_node("MatMul", ["w", "w"], [f"w{n}"]) for n in range(steps)]
    for n in range(steps):
        nodes.append(helper.make_node("MatMul", [f"h{n}", f"w{n}"], [f"h{n + 1}"]))
    nodes += [helper.make_node("MatMul", [f"h{steps}", "e"], ["z"]), helper.make_node("Softmax", ["z"], ["y"])]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 2]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", [info[0]], [info[1]], [square, ends, start])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, ir_version=8, opset_imports=opsets).SerializeToString()


def ask(steps, limits=None):
    engine = onnx.load(model(steps))
    predictor = Predictor("slow", 1, InputSpec(shape=(2,)), ("a", "b"), engine, {})
    examples = np.random.default_rng(0).random((20_000, 2)).astype("float32")
    answers = golden_answers(predictor, {"image": examples}, limits)["probabilities"]
    assert engine.interrupter(threading.get_ident()) is None
    return answers


def test_a_model_within_the_limits_answers():
    assert ask(1).shape == (20_000, 2)


def test_a_model_that_takes_too_long_is_stopped():
    with pytest.raises(DamagedArtifact, match=r"not answered within 0.05 s"):
        ask(40, GoldenLimits(seconds=0.05))


def test_a_model_that_takes_too_much_memory_is_stopped():
    with pytest.raises(DamagedArtifact, match="memory"):
        ask(40, GoldenLimits(memory_bytes=20_000_000))
