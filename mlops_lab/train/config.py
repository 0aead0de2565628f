"""The settings of a training run: the lab's recipe and the course's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mlops_lab.errors import WrongUsage

OPTIMIZERS = ("muon", "adam")
# Fraction of the highest learning rate, as a function of the fraction of steps done.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "constant": lambda progress: 1.0,
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run. The defaults are the lab's recipe; :meth:`course` is the course's.

    Parameters
    ----------
    epochs
        Number of passes over the training examples.
    batch_size
        Number of examples in a training step.
    optimizer
        ``"muon"`` (orthogonalized momentum for every kernel, Adam for biases) or ``"adam"``. Muon reaches the same
        accuracy in about a third of the epochs.
    learning_rate
        Highest learning rate.
    schedule
        How the learning rate decays over all steps: ``"linear"`` or ``"cosine"`` to zero, or ``"constant"``.
    flip
        Augment by horizontal flips: each image is mirrored with probability 0.5.
    validation_split
        Fraction of the training examples, the last ones, held out for validation.
    seed
        Seed of every random number generator: the same seed gives the same weights.
    steps_per_call
        Steps per call of the compiled training function, all with the same learning rate.
    bfloat16
        Compute convolutions and matrix products in bfloat16 while training, on processors that support it (elsewhere
        TensorFlow keeps float32). Weights, loss and optimizer state stay float32, and so does every prediction
        afterwards.
    xla
        Compile the training step with XLA: faster on some processors, slower on others.

    Examples
    --------
    >>> TrainConfig(epochs=2).batch_size
    128
    """

    epochs: int = 4
    batch_size: int = 128
    optimizer: str = "muon"
    learning_rate: float = 1e-2
    schedule: str = "linear"
    flip: bool = False
    validation_split: float = 0.2
    seed: int = 0
    steps_per_call: int = 25
    bfloat16: bool = True
    xla: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.steps_per_call < 1:
            counts = f"epochs={self.epochs}, batch_size={self.batch_size}, steps_per_call={self.steps_per_call}"
            raise WrongUsage(f"{counts} must each be 1 or more.", "Take positive integers.")
        if not self.learning_rate > 0:
            raise WrongUsage(f"learning_rate={self.learning_rate} must be above 0.", "Take 0.001.")
        if not 0 < self.validation_split < 1:
            raise WrongUsage(f"validation_split={self.validation_split} must lie between 0 and 1.", "Take 0.2.")
        if self.optimizer not in OPTIMIZERS:
            raise WrongUsage(f"There is no optimizer {self.optimizer!r}.", "Take 'muon' or 'adam'.")
        if self.schedule not in SCHEDULES:
            raise WrongUsage(f"There is no schedule {self.schedule!r}.", "Take 'linear', 'cosine' or 'constant'.")

    @classmethod
    def course(cls, epochs: int = 20, seed: int = 0) -> TrainConfig:
        """Return the course's recipe: Adam with its default learning rate of 0.001, constant."""
        return cls(
            epochs=epochs,
            seed=seed,
            optimizer="adam",
            learning_rate=1e-3,
            schedule="constant",
            steps_per_call=1,
            bfloat16=False,
        )

    def learning_rate_at(self, progress: float) -> float:
        """Return the learning rate when a fraction of all steps is done: 0 before the first step, 1 after the last.

        Examples
        --------
        >>> config = TrainConfig(learning_rate=1.0)
        >>> [config.learning_rate_at(progress) for progress in (0, 0.25, 1)]
        [1.0, 0.75, 0.0]
        """
        return self.learning_rate * SCHEDULES[self.schedule](progress)
