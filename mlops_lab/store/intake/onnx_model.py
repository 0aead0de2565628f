"""ONNX files: what the graph tells of its inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_lab.engines import onnx
from mlops_lab.engines.onnx import DTYPES
from mlops_lab.signature import Signature
from mlops_lab.store.golden_arrays import TOLERANCE, Arrays
from mlops_lab.store.intake.source import OutputInfo, Slot, Source

ACTIVATIONS = {
    "Softmax": "softmax", "Sigmoid": "sigmoid", "MatMul": "linear", "Gemm": "linear", "Add": "linear", "Conv": "linear",
    "ZipMap": "probabilities",
}  # fmt: skip
# What passes numbers on as they are.
PASSES = ("Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Cast", "Flatten")


def read_onnx(model: bytes) -> Source:
    """Return an ONNX model, audited before, with what its graph tells.

    Raises
    ------
    DamagedArtifact
        ONNX Runtime does not take it.
    """
    engine = onnx.load(model)
    given, answered = engine.session.get_inputs(), engine.session.get_outputs()
    batches = [item.shape[0] for item in given if item.shape and type(item.shape[0]) is int]
    kept = _without_labels(answered)
    half = any(item.type == "tensor(float16)" for item in [*given, *answered])

    def write(folder: Path, _: Signature, __: Arrays) -> list[str]:
        (folder / "model.onnx").write_bytes(model)
        return []

    return Source(
        model,
        "onnx",
        engine,
        write,
        tuple(Slot(item.name, _sides(item.shape), DTYPES.get(item.type)) for item in given),
        _output_infos(model, kept),
        max_batch=max(batches) if batches else None,
        outputs=tuple(item.name for item in kept),
        tolerance=2e-2 if half else TOLERANCE,
    )


def keep_output(graph: Any, name: str) -> None:
    """Leave one output in a graph."""
    for place in reversed(range(len(graph.output))):
        if graph.output[place].name != name:
            del graph.output[place]


def _sides(shape: list[Any]) -> tuple[int | None, ...]:
    return tuple(side if type(side) is int and side > 0 else None for side in shape[1:])


def _without_labels(outputs: list[Any]) -> list[Any]:
    """Return the outputs without the labels that scikit-learn's converter gives beside the probabilities."""
    floats = [item for item in outputs if DTYPES.get(item.type, item.type).startswith(("float", "seq(map"))]
    labels = [
        item for item in outputs if item.type in ("tensor(int64)", "tensor(string)") and len(item.shape or []) <= 1
    ]
    return floats if len(floats) == len(labels) == 1 and len(outputs) == 2 else outputs


def _output_infos(model: bytes, outputs: list[Any]) -> dict[str, OutputInfo]:
    """Return what the last operators of a graph tell of its outputs."""
    import onnx as format

    graph = format.load_from_string(model).graph
    makers = {name: node for node in graph.node for name in node.output}
    classes, named = _class_names(graph)
    found = {}
    for item in outputs:
        node = makers.get(item.name)
        while node is not None and node.op_type in PASSES:
            node = makers.get(node.input[0])
        kind = ACTIVATIONS.get(node.op_type, "") if node is not None else ""
        shape = None if item.type.startswith("seq") else _sides(item.shape or [])
        found[item.name] = OutputInfo(kind, None, shape, classes, named)
    return found


def _class_names(graph: Any) -> tuple[tuple[str, ...], bool]:
    """Return the classes that scikit-learn's converter wrote into a graph, and whether they are names."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels_str") and attribute.strings:
                return tuple(item.decode("utf-8", "replace") for item in attribute.strings), True
            if attribute.name.startswith("classlabels_int") and attribute.ints:
                return tuple(map(str, attribute.ints)), False
    return (), False
