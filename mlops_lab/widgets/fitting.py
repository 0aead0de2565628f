"""Training as it happens: the curves while ``train.fit`` runs, and a button that stops it.

A kernel that runs a cell hears no click, so the training runs in a thread and its cell ends at once.
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
        What the Start button runs: it is called with a Keras callback, and returns the run.

    Attributes
    ----------
    run
        The finished run, or ``None``.
    history
        The numbers of each epoch so far.
    best
        The epoch with the highest validation accuracy, counted from 1; 0 before the first.

    Examples
    --------
    >>> live = Training()
    >>> live.heard({"accuracy": 0.5, "val_accuracy": 0.4}, weights=["of epoch 1"])
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
        self._say("info", "ready" if fit else "waiting for train.fit")

    def __repr__(self) -> str:
        return f"<Training: {self.caption}>"

    @property
    def stopping(self) -> bool:
        """Whether the button was pressed."""
        return self._stop.is_set()

    @property
    def caption(self) -> str:
        """How far the run is, in words."""
        epochs = len(self.history["val_accuracy"])
        if not epochs:
            return "no epoch yet"
        highest = self.history["val_accuracy"][self.best - 1]
        word = "epoch" if epochs == 1 else "epochs"
        return f"{epochs} {word}, best validation accuracy {highest:.4f} in epoch {self.best}"

    @property
    def callback(self) -> Any:
        """A Keras callback that draws here: ``train.fit(dataset, callbacks=[live.callback])``."""
        return _callback(self)

    def start(self) -> None:
        """Train in a thread, so that this cell ends at once and the buttons are heard."""
        if self._fit is None:
            raise WrongUsage("There is nothing to train.", "Pass a data set: widgets.training(dataset).")
        if not self._thread.is_alive():
            self.run = self.error = None
            self.begin()
            self._thread = threading.Thread(target=self._train, name="mlops-lab-training", daemon=True)
            self._thread.start()

    def wait(self) -> train.TrainingRun:
        """Wait for the end of the training and return the run. Its cell blocks, so the buttons are not heard."""
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
        except Exception as error:  # a thread has nobody to raise to: the face says it, wait() raises it
            self.error = error
            self.button.disabled, self.go.disabled = True, False
            self._say("error", f"failed: {error}")

    def stop(self) -> None:
        """End the run after the step it is in, and give the model the weights of its best epoch."""
        self._stop.set()
        self.button.disabled = True
        self._say("info", "stopping …")

    def begin(self) -> None:
        """Forget an earlier run."""
        self._stop.clear()
        self.history: dict[str, list[float]] = defaultdict(list)
        self.best = 0
        self.weights: Any = None
        self.button.disabled, self.go.disabled = False, True
        self.curves.value = ""
        self._say("info", "training …")

    def heard(self, logs: dict[str, float], weights: Any) -> None:
        """Note the numbers of one epoch, and its weights if none before it were better."""
        for name, value in logs.items():
            self.history[name].append(float(value))
        accuracy = self.history["val_accuracy"]
        if accuracy[-1] >= max(accuracy):
            self.best, self.weights = len(accuracy), weights
        self.curves.value = draw(self.history, self.caption)
        if not self.stopping:
            self._say("info", f"training … {self.caption}")

    def end(self) -> None:
        """Say how the run ended."""
        self.button.disabled, self.go.disabled = True, False
        word = f"stopped; the model has the weights of epoch {self.best}" if self.stopping and self.best else "done"
        self._say("ok", word)

    def _say(self, kind: str, word: str) -> None:
        self.state.value = f'<span style="{show.FONT}; color: {show.TEXT}">{show.state(kind, word)}</span>'


def draw(history: dict[str, list[float]], words: str) -> str:
    """Return the accuracy of training and validation by epoch, as an image with a text that stands for it."""
    from matplotlib.ticker import MaxNLocator

    drawing = show.figure(6, 2.6)
    axes = drawing.subplots()
    for (name, label), style in zip(CURVES, ("o-", "s--"), strict=True):
        axes.plot(range(1, len(history[name]) + 1), history[name], style, markersize=3, label=label)
    axes.set(xlabel="epoch", ylabel="accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    return show.image(show.figure_png(drawing), f"Accuracy by epoch: {words}")


def _callback(live: Training) -> Any:
    import_keras()  # quietly
    import keras

    class Live(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            live.begin()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training |= live.stopping

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            live.heard(dict(logs), self.model.get_weights())
            self.model.stop_training |= live.stopping

        def on_train_end(self, logs: Any = None) -> None:
            if live.stopping and live.weights is not None:
                self.model.set_weights(live.weights)
            live.end()

    return Live()


def training(
    dataset: Dataset | None = None, config: train.TrainConfig | None = None, *, build: Callable[[], Any] | None = None
) -> Training:
    """Return a face for a training run, with buttons to start and to stop it.

    Parameters
    ----------
    dataset, config, build
        For :func:`mlops_lab.train.fit`. The Start button trains with them in the background; ``live.run`` is the run.
        Without a data set there is no Start button: pass ``live.callback`` to a ``train.fit`` of your own. The curves
        grow while its cell runs, but most kernels hear the Stop button only when that cell has ended.

    Examples
    --------
    >>> training()
    <Training: no epoch yet>
    >>> live = training(dataset, train.TrainConfig(epochs=20))  # doctest: +SKIP
    """
    if dataset is None:
        return Training()
    return Training(lambda callback: train.fit(dataset, config, build=build, callbacks=[callback], progress=False))
