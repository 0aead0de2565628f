"""A thread that compares the registry with its store every second, so that a change on disk needs no restart."""

from __future__ import annotations

import logging
import threading

from mlops_lab.serve.core.registry import Registry

SECONDS = 1.0
_log = logging.getLogger("mlops_lab.serve")


class StoreWatcher:
    """A thread that keeps a registry in step with its store.

    Parameters
    ----------
    registry
        The registry to keep up to date.
    seconds
        Interval between two looks at the store.

    Examples
    --------
    >>> watcher = StoreWatcher(Registry())
    >>> watcher.start()
    >>> watcher.stop()
    """

    def __init__(self, registry: Registry, seconds: float = SECONDS) -> None:
        self._registry = registry
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlops-lab-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; a model that is just being loaded is finished first."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        reported = ""
        while not self._ended.wait(self._seconds):
            problem = ""
            try:
                if self._registry.refresh():
                    _log.info("the models changed: %s", self._registry.listing())
            except Exception as error:  # whatever is wrong with the folder: what is loaded goes on answering
                problem = str(error) or type(error).__name__
            if problem and problem != reported:  # once, and again only when it changes
                _log.warning("%s", problem)
            reported = problem
