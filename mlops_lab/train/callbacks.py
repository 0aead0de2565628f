"""Keras callbacks: the learning rate schedule and the progress bar."""

from __future__ import annotations

from typing import Any

from mlops_lab.engines.quiet import import_keras
from mlops_lab.train.config import TrainConfig


def learning_rate_schedule(config: TrainConfig) -> Any:
    """Return a Keras callback that sets the learning rate before every call of ``config.steps_per_call`` steps.

    The learning rate stays a plain variable of the optimizer, so that no schedule object is saved with the model.
    """
    keras = import_keras()

    class LearningRateSchedule(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            progress = (self.epoch + batch / self.params["steps"]) / config.epochs
            self.model.optimizer.learning_rate = config.learning_rate_at(progress)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)

    return LearningRateSchedule()


def progress_bar(epochs: int) -> Any:
    """Return a Keras callback that shows a progress bar over all epochs, in a terminal or a notebook."""
    keras = import_keras()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    class Bar(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_train_begin(self, logs: Any = None) -> None:
            self.bar = Progress(
                TextColumn("epoch"),
                MofNCompleteColumn(),
                BarColumn(),
                TextColumn("{task.description}"),
                TimeRemainingColumn(elapsed_when_finished=True),
            )
            self.task = self.bar.add_task("", total=epochs)
            self.bar.start()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            text = f"accuracy {logs['accuracy']:.3f}, validation {logs['val_accuracy']:.3f}"
            self.bar.update(self.task, advance=1, description=text)

        def on_train_end(self, logs: Any = None) -> None:
            self.bar.update(self.task, total=self.bar.tasks[0].completed)  # a run that was stopped early has ended, too
            self.bar.refresh()  # which in a notebook stopping does not
            self.bar.stop()

    return Bar()
