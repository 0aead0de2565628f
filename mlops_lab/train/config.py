"""How to train: the lab's recipe, and the course's own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlops_lab.errors import WrongUsage


@dataclass(frozen=True)
class TrainConfig:
    """How to train. The defaults are the lab's recipe; :meth:`course` is the course's own.

    Parameters
    ----------
    epochs
        How often every training example is seen.
    batch_size
        Examples to a step.
    learning_rate
        Of Adam, at its highest.
    schedule
        ``"cosine"`` lets the learning rate fall to nothing over the epochs; ``"constant"`` keeps it.
    flip
        Show each image mirrored half of the time: a mirrored shoe is still a shoe.
    validation_split
        The share of the training examples, the last ones, that only judge.
    seed
        Of every random number: the same seed gives the same weights.
    steps_per_call
        Steps that TensorFlow runs before Python has its turn again. The arithmetic is the same.
    bfloat16
        Let convolutions and matrix products compute in bfloat16 while training, on processors that can (elsewhere
        TensorFlow leaves float32). Weights, loss and Adam's sums stay float32, and so does every answer afterwards.
    xla
        Compile the step with XLA: faster on some processors, slower on others.

    Examples
    --------
    >>> TrainConfig(epochs=2).batch_size
    128
    """

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    flip: bool = False
    validation_split: float = 0.2
    seed: int = 0
    steps_per_call: int = 25
    bfloat16: bool = True
    xla: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise WrongUsage(f"epochs={self.epochs} and batch_size={self.batch_size} must be 1 or more.", "Raise them.")
        if not self.learning_rate > 0:
            raise WrongUsage(f"learning_rate={self.learning_rate} must be above 0.", "Take 0.001.")
        if not 0 < self.validation_split < 1:
            raise WrongUsage(f"validation_split={self.validation_split} must lie between 0 and 1.", "Take 0.2.")
        if self.schedule not in ("cosine", "constant"):
            raise WrongUsage(f"There is no schedule {self.schedule!r}.", "Take 'cosine' or 'constant'.")

    @classmethod
    def course(cls, epochs: int = 20, seed: int = 0) -> TrainConfig:
        """Return the course's recipe: Adam at its default of 0.001 throughout, nothing else."""
        return cls(epochs=epochs, seed=seed, learning_rate=1e-3, schedule="constant", steps_per_call=1, bfloat16=False)

    def learning_rate_at(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0.

        Examples
        --------
        >>> config = TrainConfig(epochs=20, learning_rate=1.0)
        >>> [round(config.learning_rate_at(epoch), 2) for epoch in (0, 10, 19)]
        [1.0, 0.46, 0.0]
        """
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (epoch + 0.5) / self.epochs))
