"""``mlops-lab serve --log``: the server with a prediction log, in one process or in several.

``python -m mlops_lab.monitor.command LISTENER CHANNEL`` is a worker; only the parent of several starts one. Each worker
has a writer of its own, and all write one file.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from mlops_lab.errors import LabError, NotFound
from mlops_lab.monitor.log import PredictionLog
from mlops_lab.monitor.reference import load_reference
from mlops_lab.serve import command, workers
from mlops_lab.serve.command import Print, Settings
from mlops_lab.serve.core.registry import Registry
from mlops_lab.store import ModelStore
from mlops_lab.summary.scale import Scale


def run(settings: Settings, announce: Print, warn: Print) -> None:
    """Serve and log until SIGTERM or Ctrl-C, then drain and write what is left.

    Parameters
    ----------
    settings
        Those of :mod:`mlops_lab.serve.command`, with a ``log``.
    announce, warn
        Print a line.
    """
    if settings.workers > 1:
        return workers.supervise(settings, announce, warn, module=__name__)
    with open_log(settings, warn) as log:
        command.run(settings, announce, warn, log)


@contextmanager
def open_log(settings: Settings, warn: Print) -> Iterator[PredictionLog]:
    """Open the log that the settings name, and close it in the end.

    One that cannot be written now does not keep the server from answering: that is a warning, and the predictions that
    it loses are counted.
    """
    models = settings.models
    store = models.store if isinstance(models, Registry) else ModelStore(models)
    scales = partial(_find_scale, store) if store is not None else None
    with PredictionLog(settings.log or "", durable=settings.durable, images=settings.log_images, scales=scales) as log:
        try:
            log.check()
        except LabError as error:
            warn(f"warning: {error.message} Predictions are answered, and not logged. {error.hint}")
        yield log


def _find_scale(models: ModelStore, name: str, version: int) -> Scale | None:
    try:
        return load_reference(models, name, version).scale
    except NotFound:  # the version has no reference, or is gone: its predictions go without leaving a summary
        return None


if __name__ == "__main__":
    listener, channel = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    workers.work(listener, channel, open_log)
