"""Live training curves, with buttons that start and stop the run.

A kernel that is busy with a cell handles no clicks, so the training runs in a thread and its cell returns immediately.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import ipywidgets

from mlops_lab import show, train
from mlops_lab.data import Dataset
from mlops_lab.engines.quiet import import_keras
from mlops_lab.errors import WrongUsage

CURVES = (("accuracy", "training"), ("val_accuracy", "validation"))


class Training(ipywidgets.VBox):  # type: ignore[misc]
    """The curves of a training run, epoch by epoch.

    Parameters
    ----------
    fit
        The function behind the Start button: it is called with a Keras callback, and returns the run.

    Attributes
    ----------
    run
        The finished run, or ``None``.
    history
        The metrics of each epoch so far.
    best
        The epoch with the highest validation accuracy, counted from 1; 0 before the first epoch ends.

    Examples
    --------
    >>> live = Training()
    >>> live.record_epoch({"accuracy": 0.5, "val_accuracy": 0.4}, weights=[])
    >>> live
    <Training: 1 epoch, best validation accuracy 0.4000 in epoch 1>
    """

    def __init__(self, fit: Callable[[Any], train.TrainingRun] | None = None) -> None:
        super().__init__()
        self._fit, self._thread = fit, threading.Thread()
        self._stop = threading.Event()
        self.run: train.TrainingRun | None = None
        self.error: BaseException | None = None
        self.go = ipywidgets.Button(description="Start", icon="play", button_style="primary")
        self.go.on_click(lambda _: self.start())
        self.button = ipywidgets.Button(description="Stop, keep the best", icon="stop")
        self.button.layout.width = "auto"
        self.button.on_click(lambda _: self.stop())
        self.state = ipywidgets.HTML()
        self.curves = ipywidgets.HTML()
        self.children = [ipywidgets.HBox([*([self.go] if fit else []), self.button, self.state]), self.curves]
        self.begin()
        self.button.disabled, self.go.disabled = True, False
        self._show_state("info", "ready" if fit else "waiting for train.fit")

    def __repr__(self) -> str:
        return f"<Training: {self.caption}>"

    @property
    def stopping(self) -> bool:
        """Whether the Stop button was pressed."""
        return self._stop.is_set()

    @property
    def caption(self) -> str:
        """A sentence about the progress of the run."""
        epochs = len(self.history["val_accuracy"])
        if not epochs:
            return "no epoch yet"
        highest = self.history["val_accuracy"][self.best - 1]
        word = "epoch" if epochs == 1 else "epochs"
        return f"{epochs} {word}, best validation accuracy {highest:.4f} in epoch {self.best}"

    @property
    def callback(self) -> Any:
        """A Keras callback that updates the widget: ``train.fit(dataset, callbacks=[live.callback])``."""
        return _callback(self)

    def start(self) -> None:
        """Train in a thread, so that the cell returns immediately and the buttons work."""
        if self._fit is None:
            raise WrongUsage("There is nothing to train.", "Pass a data set: widgets.training(dataset).")
        if not self._thread.is_alive():
            self.run = self.error = None
            self.begin()
            self._thread = threading.Thread(target=self._train, name="mlops-lab-training", daemon=True)
            self._thread.start()

    def wait(self) -> train.TrainingRun:
        """Wait for the end of the training and return the run. The cell blocks, and so do the buttons."""
        if self._thread.ident is not None:
            self._thread.join()
        if self.error is not None:
            raise self.error
        if self.run is None:
            raise WrongUsage("Nothing has been trained yet.", "Press Start first.")
        return self.run

    def _train(self) -> None:
        assert self._fit is not None
        try:
            self.run = self._fit(self.callback)
        except Exception as error:  # a thread has no caller: the widget shows the error, and wait() raises it
            self.error = error
            self.button.disabled, self.go.disabled = True, False
            self._show_state("error", f"failed: {error}")

    def stop(self) -> None:
        """Stop the run after the current step, and restore the weights of the best epoch."""
        self._stop.set()
        self.button.disabled = True
        self._show_state("info", "stopping …")

    def begin(self) -> None:
        """Reset the widget for a new run."""
        self._stop.clear()
        self.history: dict[str, list[float]] = defaultdict(list)
        self.best = 0
        self.weights: Any = None
        self.button.disabled, self.go.disabled = False, True
        self.curves.value = ""
        self._show_state("info", "training …")

    def record_epoch(self, logs: dict[str, float], weights: Any) -> None:
        """Record the metrics of one epoch, and its weights if it is the best so far."""
        for name, value in logs.items():
            self.history[name].append(float(value))
        accuracy = self.history["val_accuracy"]
        if accuracy[-1] >= max(accuracy):
            self.best, self.weights = len(accuracy), weights
        self.curves.value = plot_accuracy(self.history, self.caption)
        if not self.stopping:
            self._show_state("info", f"training … {self.caption}")

    def end(self) -> None:
        """Show how the run ended."""
        self.button.disabled, self.go.disabled = True, False
        word = f"stopped; the model has the weights of epoch {self.best}" if self.stopping and self.best else "done"
        self._show_state("ok", word)

    def _show_state(self, kind: str, word: str) -> None:
        self.state.value = f'<span style="{show.FONT}; color: {show.TEXT}">{show.state(kind, word)}</span>'


def plot_accuracy(history: dict[str, list[float]], caption: str) -> str:
    """Return a plot of the training and validation accuracy by epoch, as SVG with a text alternative."""
    drawing = show.figure(6, 2.6)
    axes = drawing.subplots()
    for (name, label), style in zip(CURVES, ("o-", "s--"), strict=True):
        axes.plot(range(1, len(history[name]) + 1), history[name], style, markersize=3, label=label)
    axes.set(ylabel="accuracy")
    show.by_epoch(axes)
    return show.drawing(drawing, f"Accuracy by epoch: {caption}")


def _callback(live: Training) -> Any:
    import_keras()  # without its log messages
    import keras

    class Live(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            live.begin()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training |= live.stopping

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            live.record_epoch(dict(logs), self.model.get_weights())
            self.model.stop_training |= live.stopping

        def on_train_end(self, logs: Any = None) -> None:
            if live.stopping and live.weights is not None:
                self.model.set_weights(live.weights)
            live.end()

    return Live()


def training(
    dataset: Dataset | None = None, config: train.TrainConfig | None = None, *, build: Callable[[], Any] | None = None
) -> Training:
    """Return live training curves, with buttons that start and stop the run.

    Parameters
    ----------
    dataset, config, build
        Arguments of :func:`mlops_lab.train.fit`. The Start button trains with them in the background; ``live.run`` is
        the run. Without a data set there is no Start button: pass ``live.callback`` to your own ``train.fit``. The
        curves are updated while its cell runs, but most kernels handle the Stop button only after the cell.

    Examples
    --------
    >>> training()
    <Training: no epoch yet>
    >>> live = training(dataset, train.TrainConfig(epochs=20))  # doctest: +SKIP
    """
    if dataset is None:
        return Training()
    return Training(lambda callback: train.fit(dataset, config, build=build, callbacks=[callback], progress=False))
