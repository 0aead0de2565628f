"""The number of parameters of a model, as its manifest tells it."""

from __future__ import annotations

from typing import Any

import numpy as np


def count_parameters(model: Any, framework: str) -> dict[str, int]:
    """Return the numbers in the saved model, and how many of them training moves.

    Keras prints all of them as ``Total params``: for the trained LeNet-5, 44,426 weights and 88,854 variables of Adam
    (two for each weight, its step counter and its learning rate) make 133,280.
    """
    if framework == "keras":
        weights = sum(int(np.prod(weight.shape)) for weight in model.weights)
        trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        optimizer = getattr(model, "optimizer", None)
        state = sum(int(np.prod(variable.shape)) for variable in optimizer.variables) if optimizer else 0
    else:
        weights = trainable = sum(_initializers(model) if framework == "onnx" else _fitted_numbers(model))
        state = 0
    return {
        "number_of_parameters": weights + state,
        "trainable_parameters": trainable,
        "optimizer_parameters": state,
    }


def _initializers(model: bytes) -> list[int]:
    """Return the sizes of an ONNX graph's weights: its constants that are not whole numbers."""
    import onnx as format

    graph = format.load_from_string(model).graph
    floats = {format.TensorProto.FLOAT, format.TensorProto.FLOAT16, format.TensorProto.DOUBLE}
    return [int(np.prod(tensor.dims)) for tensor in graph.initializer if tensor.data_type in floats]


def _fitted_numbers(estimator: Any) -> list[int]:
    """Return the sizes of what a scikit-learn estimator learned: coefficients and intercepts, step by step."""
    steps = [step for _, step in estimator.steps] if hasattr(estimator, "steps") else [estimator]
    learned = [getattr(step, name, None) for step in steps for name in ("coef_", "coefs_", "intercept_", "intercepts_")]
    arrays = [array for item in learned if item is not None for array in (item if isinstance(item, list) else [item])]
    return [int(np.size(array)) for array in arrays]
