"""Look at the store every second, so that publishing, promoting and removing need no restart."""

from __future__ import annotations

import logging
import threading

from mlops_lab.errors import LabError
from mlops_lab.serve.registry import Registry

SECONDS = 1.0
_log = logging.getLogger("mlops_lab.serve")


class Watch:
    """A thread that keeps a registry like its store.

    Parameters
    ----------
    registry
        What to keep up to date.
    seconds
        Between two looks.

    Examples
    --------
    >>> watch = Watch(Registry())
    >>> watch.start()
    >>> watch.stop()
    """

    def __init__(self, registry: Registry, seconds: float = SECONDS) -> None:
        self._registry = registry
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlops-lab-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; a model that is just being loaded is finished first."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        said = ""
        while not self._ended.wait(self._seconds):
            wrong = ""
            try:
                if self._registry.refresh():
                    _log.info("the models changed: %s", self._registry.listing())
            except LabError as error:  # a folder that cannot be read just now: what is loaded goes on
                wrong = str(error)
            if wrong and wrong != said:  # once, and again only when it changes
                _log.warning("%s", wrong)
            said = wrong
