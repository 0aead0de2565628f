"""How to train: the lab's recipe, and the course's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mlops_lab.errors import WrongUsage

OPTIMIZERS = ("muon", "adam")
# The share of the highest learning rate that is left after a share of all steps.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "constant": lambda progress: 1.0,
}


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The defaults are the lab's recipe; :meth:`course` is the course's own.

    Parameters
    ----------
    epochs
        How often every training example is seen.
    batch_size
        Examples to a step.
    optimizer
        ``"muon"`` or ``"adam"``: see :func:`mlops_lab.train.optimizers.build_optimizer`. Muon needs a third of the
        epochs.
    learning_rate
        The learning rate of the optimizer, at its highest.
    schedule
        ``"linear"`` and ``"cosine"`` let the learning rate fall to nothing over the steps; ``"constant"`` keeps it.
    flip
        Show each image mirrored half of the time: a mirrored shoe is still a shoe.
    validation_split
        The share of the training examples, the last ones, that only judge.
    seed
        The seed of every random number: the same seed gives the same weights.
    steps_per_call
        Steps that TensorFlow runs before Python has its turn again, at one learning rate.
    bfloat16
        Let convolutions and matrix products compute in bfloat16 while training, on processors that can (elsewhere
        TensorFlow leaves float32). Weights, loss and the optimizer's sums stay float32, and so does every answer
        afterwards.
    xla
        Compile the step with XLA: faster on some processors, slower on others.

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
            raise WrongUsage(f"{counts} must each be 1 or more.", "Raise what is below 1.")
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
        """Return the course's recipe: Adam at its default of 0.001 throughout, nothing else."""
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
        """Return the learning rate after a share of all steps, from 0 (the first step) to 1 (the end).

        Examples
        --------
        >>> config = TrainConfig(learning_rate=1.0)
        >>> [config.learning_rate_at(progress) for progress in (0, 0.25, 1)]
        [1.0, 0.75, 0.0]
        """
        return self.learning_rate * SCHEDULES[self.schedule](progress)
