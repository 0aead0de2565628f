"""A thread that compares the registry with its store every second, so that a change on disk needs no restart."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref

from mlops_lab import show
from mlops_lab.serve.core.registry import Registry

SECONDS = 1.0
STUCK_SECONDS = 60.0  # loading a large version takes some time
_log = logging.getLogger("mlops_lab.serve")
_beginning = threading.Lock()


class StoreWatcher:
    """A thread that keeps a registry in step with its store.

    Parameters
    ----------
    registry
        The registry to keep up to date.
    seconds
        Interval between two looks at the store.
    stuck_seconds
        A look that takes longer is reported by ``/readyz``.

    Examples
    --------
    >>> registry = Registry()
    >>> watcher = StoreWatcher(registry)
    >>> watcher.start()
    >>> watcher.stop()
    """

    def __init__(self, registry: Registry, seconds: float = SECONDS, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._registry = weakref.ref(registry)  # an application that is dropped takes its watcher with it
        self._seconds = seconds
        self._stuck_seconds = stuck_seconds
        self._looking_since = 0.0
        self._problem = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlops-lab-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        registry = self._registry()
        if registry is not None:
            registry.store_problem, registry.watched_in = self.store_problem, os.getpid()
            self._thread.start()

    def stop(self) -> None:
        """Stop watching; a model that is just being loaded is finished first."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        registry = self._registry()
        if (
            registry is not None and registry.store_problem == self.store_problem
        ):  # no other has taken its place meanwhile
            registry.watched_in = 0

    def store_problem(self) -> str:
        """Return why changes on disk are not seen at present; nothing where they are."""
        began = self._looking_since
        taken = time.monotonic() - began if began else 0.0
        if taken > self._stuck_seconds:
            return f"The watcher is stuck: its last look at the store began {taken:.0f} s ago and has not ended."
        if not self._thread.is_alive() and not self._ended.is_set():
            return "The watcher has ended: changes on disk are not seen until the server is started again."
        return f"The last look at the store failed: {self._problem}" if self._problem else ""

    def _run(self) -> None:
        while not self._ended.wait(self._seconds) and self._registry() is not None:
            self._looking_since = time.monotonic()
            problem = self._look()
            self._looking_since = 0.0
            if problem and problem != self._problem:  # once, and again only when it changes
                _log.warning("%s", show.escape_controls(problem))
            self._problem = problem

    def _look(self) -> str:
        """Look at the store once; return what is wrong with it, or nothing."""
        registry = self._registry()
        try:
            if registry is not None and registry.refresh():
                _log.info("the models changed: %s", registry.listing())
        except BaseException as error:  # whatever it is, a model's code included: what is loaded goes on answering
            try:
                return str(error) or type(error).__name__
            except Exception:  # of a class of somebody else's
                return type(error).__name__
        return ""


def watch(registry: Registry) -> None:
    """Watch the store of a registry from now on, unless this process does so already.

    For an application under a server of somebody else's, which starts no watcher. It is called at each request and not
    when the application is made, for such a server may fork after that, and threads are not inherited.

    Parameters
    ----------
    registry
        What is to be kept in step with its store.
    """
    if registry.watched_in == os.getpid():
        return
    with _beginning:
        if registry.watched_in != os.getpid():
            StoreWatcher(registry).start()
