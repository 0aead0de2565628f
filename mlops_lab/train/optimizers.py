"""Optimizers: Keras's Adam, and Keras's Muon extended to convolutions."""

from __future__ import annotations

from functools import cache
from typing import Any

from mlops_lab.engines.quiet import import_keras
from mlops_lab.train.config import TrainConfig


def build_optimizer(config: TrainConfig) -> Any:
    """Return a new Keras optimizer whose learning rate is a variable that can be set.

    Examples
    --------
    >>> build_optimizer(TrainConfig.course()).name  # doctest: +SKIP
    'adam'
    """
    keras = import_keras()
    if config.optimizer == "adam":
        return keras.optimizers.Adam(config.learning_rate)
    # Three Newton-Schulz iterations give the accuracy of Keras's five in less time.
    return _muon_class()(
        config.learning_rate, ns_steps=3, rms_rate=None, weight_decay=None, adam_weight_decay=None, name="muon"
    )


@cache
def _muon_class() -> type:
    """Return Keras's Muon, extended to the kernels of convolutions, which Keras leaves to Adam.

    Muon replaces the momentum of a weight matrix by (nearly) the nearest orthogonal matrix, so that an update has the
    same length in every direction. A convolution multiplies patches by its kernel, so its kernel is such a matrix
    once height, width and input channels are flattened. Biases are updated by Adam.

    Source: K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, which flattens
    convolution kernels in this way; the scale of an update, which lets Muon and Adam share one learning rate, is from
    J. Liu et al., "Muon is Scalable for LLM Training", 2025.
    """
    keras = import_keras()

    @keras.saving.register_keras_serializable("mlops_lab")
    class KernelMuon(keras.optimizers.Muon):  # type: ignore[misc, name-defined]
        def _should_use_adamw(self, variable: Any) -> bool:
            return len(variable.shape) < 2

        def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
            matrix = keras.ops.reshape(x, (-1, x.shape[-1]))
            step = super().zeropower_via_newtonschulz5(matrix, steps)
            return keras.ops.reshape(step, x.shape) * (0.2 * max(matrix.shape) ** 0.5)

    return KernelMuon
