"""The models in memory. The store is on disk; the registry is what answers.

The versions that a request reaches by default (the default version, aliases, canary and shadow) are loaded and verified
before they are served. The others are listed as ``not loaded`` and loaded on their first use.
"""

from __future__ import annotations

import logging
import math
import os
import shlex
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_lab import show, tensors
from mlops_lab.errors import LabError, StoreError, UnknownModel, UnknownVersion, WrongUsage, nearest
from mlops_lab.predict import Predictor
from mlops_lab.serve.core.transient import is_transient

if TYPE_CHECKING:
    from mlops_lab.store import ModelStore
    from mlops_lab.store.routing import TrafficSettings

# The files that hold one model; the folder of a model holds numbered versions.
MODEL_FILES = (".keras", ".h5", ".onnx", ".skops")
_log = logging.getLogger("mlops_lab.serve")


@dataclass
class ModelEntry:
    """One model: its versions, the names for them, and why some of them do not answer.

    Parameters
    ----------
    loaded
        Versions in memory.
    available
        Versions on disk that are loaded on first use.
    failed
        Reason why a version could not be loaded.
    aliases
        Versions by alias, as the store has them.
    fingerprints
        Fingerprint of each version's manifest when it was seen last, so that nothing is loaded twice.
    seconds
        Measured time of one prediction, for versions that came from a store.
    by_version
        Version number by every name for it: a request is one look-up, and never a path.
    traffic, traffic_error
        Canary and shadow settings, and what is wrong with those on disk.
    read_error
        Why the folder or its aliases cannot be read at present; what was read before goes on.
    """

    loaded: dict[int, Predictor] = field(default_factory=dict)
    available: set[int] = field(default_factory=set)
    failed: dict[int, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    fingerprints: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    by_version: dict[str, int] = field(default_factory=dict)
    traffic: TrafficSettings | None = None
    traffic_error: str = ""
    read_error: str = ""

    def versions(self) -> list[int]:
        """Return the versions that answer, loaded or not, oldest first."""
        return sorted(self.available.union(self.loaded))

    def index(self) -> None:
        """Build the look-up: ``v1``, ``1``, each alias, ``latest``, and the empty name for the default version."""
        numbers = self.versions()
        names = {alias: number for alias, number in self.aliases.items() if number in numbers}
        # Versions come after aliases, so that no alias written by hand can stand for another version.
        names |= {name: number for number in numbers for name in (f"v{number}", str(number))}
        if numbers:
            names["latest"] = numbers[-1]
            names[""] = names.get("production", names["latest"])
        self.by_version = names

    def versions_to_load(self) -> set[int]:
        """Return the versions to load before the server is ready."""
        shared = self.traffic
        routed = [*(number for number, _ in shared.canary), shared.shadow or 0] if shared else []
        return {self.by_version.get("", 0), *self.answering_aliases().values(), *routed} & self.available

    def answering_aliases(self) -> dict[str, int]:
        """Return the aliases that reach the version they point to."""
        return {alias: number for alias, number in sorted(self.aliases.items()) if self.by_version.get(alias) == number}

    def fail(self, number: int, error: Exception) -> None:
        """Note why a version could not be loaded."""
        self.failed[number] = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
        self.available.discard(number)

    def states(self) -> dict[str, str]:
        """Return ``ready``, ``not loaded``, or the reason why not, for each version."""
        states = {number: f"failed: {why}" for number, why in self.failed.items()}
        states |= dict.fromkeys(self.available, "not loaded")
        for number in self.loaded:
            refused = self.failed.get(number)
            states[number] = f"ready; what is on disk now was refused: {refused}" if refused else "ready"
        return {f"v{number}": states[number] for number in sorted(states)}

    def describe(self) -> dict[str, Any]:
        """Return the versions that answer and the aliases, as ``/models`` lists them."""
        return {
            "versions": [f"v{number}" for number in self.versions()],
            "aliases": {alias: f"v{number}" for alias, number in self.answering_aliases().items()},
        }


class Registry:
    """Models by name and version, ready to answer.

    Parameters
    ----------
    wrap
        Called with each version before it is served; returns what answers in its place, such as a version that
        computes in batches.

    Examples
    --------
    >>> Registry.of("models").get("clothes", "v1")  # doctest: +SKIP
    """

    def __init__(self, wrap: Callable[[Predictor], Predictor] | None = None) -> None:
        self._wrap = wrap
        self._loading = threading.RLock()
        self.entries: dict[str, ModelEntry] = {}
        # Every version this process ever served, so that a state can be given for one that has ended.
        self.seen_versions: dict[str, set[int]] = {}
        self.store: ModelStore | None = None
        # Returns why changes on disk are not seen at present; the watcher of the store sets it.
        self.store_problem: Callable[[], str] = lambda: ""
        # The process whose thread watches the store, if one does.
        self.watched_in = 0

    @classmethod
    def of(cls, models: Any, wrap: Callable[[Predictor], Predictor] | None = None) -> Registry:
        """Return a registry of whatever holds models.

        Parameters
        ----------
        models
            A registry, a :class:`~mlops_lab.store.ModelStore`, the path of one, a predictor, or several predictors.
        wrap
            For a new registry; an existing one has its own.
        """
        if isinstance(models, Registry):
            if wrap is not None:
                raise WrongUsage("The versions of a registry are wrapped already.", "Pass the models themselves.")
            return models
        from mlops_lab.store import ModelStore  # a server of predictors needs no store

        registry = cls(wrap)
        if isinstance(models, str | os.PathLike):
            models = ModelStore(os.fspath(models))
        if isinstance(models, ModelStore):
            registry.load_store(models)
        elif isinstance(models, Predictor):
            registry.add([models])
        elif isinstance(models, Iterable):
            registry.add(models)
        else:
            kind = type(models).__name__
            raise WrongUsage(f"A {kind} holds no models.", "Pass a ModelStore, its folder, or Predictors.")
        return registry

    def load_store(self, store: ModelStore) -> None:
        """Serve every version of a store. One that cannot be loaded is noted with its reason; the others serve."""
        self.store = store
        self.refresh()

    def refresh(self) -> bool:
        """Bring memory in step with the store, and return whether anything changed.

        A new default version is loaded and has answered its golden examples before the first request reaches it; a
        version that was removed goes when the last request that uses it is answered. A version that cannot be loaded
        displaces nothing.
        """
        if self.store is None:
            return False
        with self._loading:
            old = self.entries
            entries = {name: self._refreshed(name, old.get(name) or ModelEntry()) for name in self.store.names()}
            # One assignment: a request sees the models as they were or as they are, never something between.
            self.entries = entries
        for name, entry in entries.items():
            if entry.read_error and entry.read_error != old.get(name, ModelEntry()).read_error:
                _log.warning("%s", show.escape_controls(entry.read_error))  # once, and again only when it changes
            self.seen_versions.setdefault(name, set()).update(entry.loaded, entry.available, entry.failed)
        return entries != old

    def _refreshed(self, name: str, old: ModelEntry) -> ModelEntry:
        """Return a model as the store has it now, with the versions that did not change taken from the old entry."""
        from mlops_lab.store.routing import read_traffic

        assert self.store is not None
        entry = ModelEntry()
        try:
            versions = self.store.versions(name)
        except (LabError, OSError) as error:  # a folder that cannot be read: what is loaded goes on answering
            return replace(old, read_error=str(error))
        try:
            entry.aliases = self.store.aliases(name)
        except LabError as error:  # a damaged file of aliases: the known ones go on
            entry.aliases, entry.read_error = old.aliases, str(error)
        try:
            entry.traffic = read_traffic(self.store.root / name)
        except LabError as error:  # likewise: the last good settings go on
            entry.traffic, entry.traffic_error = old.traffic, str(error)
        for number in versions:
            self._take_over(entry, old, name, number)
        entry.index()
        while missing := entry.versions_to_load() - set(entry.loaded):
            for number in missing:
                self._load(entry, name, number)
            entry.index()
        return entry

    def _take_over(self, entry: ModelEntry, old: ModelEntry, name: str, number: int) -> None:
        assert self.store is not None
        entry.fingerprints[number] = fingerprint = self.store.fingerprint(name, number)
        if number in old.seconds:  # of what is loaded; a successor is measured anew
            entry.seconds[number] = old.seconds[number]
        if fingerprint != old.fingerprints.get(number):
            if number in old.loaded:  # what is loaded goes on until its successor has proved itself
                entry.loaded[number] = old.loaded[number]
                self._load(entry, name, number)
            else:
                entry.available.add(number)
            return
        if number in old.loaded:
            entry.loaded[number] = old.loaded[number]
        if number in old.failed:
            entry.failed[number] = old.failed[number]
        if number in old.available:
            entry.available.add(number)

    def _load(self, entry: ModelEntry, name: str, number: int) -> None:
        """Load a version into an entry, or note why it failed; the caller holds the lock."""
        assert self.store is not None
        try:
            predictor = self.store.load(name, number)
            if self._wrap is None:
                entry.seconds[number] = measure(predictor)
            entry.loaded[number] = predictor if self._wrap is None else self._wrap(predictor)
            entry.available.discard(number)
        except Exception as error:  # whatever is wrong with one version must not keep the others from serving
            entry.fail(number, error)
            if is_transient(error):  # the next look at the store tries again
                entry.fingerprints.pop(number, None)

    def add(self, predictors: Iterable[Predictor]) -> None:
        """Add loaded predictors that need not lie in a store."""
        for predictor in predictors:
            entry = self.entries.setdefault(predictor.name, ModelEntry())
            entry.loaded[predictor.version] = predictor if self._wrap is None else self._wrap(predictor)
            entry.index()

    def entry(self, name: str) -> ModelEntry:
        """Return a model.

        Raises
        ------
        UnknownModel
            The message names the models there are.
        """
        found = self.entries.get(name)
        if found is None:
            raise UnknownModel(f"There is no model {name[:80]!r}.", nearest(name[:80], self.entries))
        return found

    def get(self, name: str, version: str = "") -> Predictor:
        """Return a version by ``v3``, alias or ``latest``; by default ``production``, else the newest.

        A version that is not loaded is loaded first, which takes the time that loading takes.

        Raises
        ------
        UnknownModel, UnknownVersion
            The message names the models or versions there are.
        """
        while True:
            entry = self.entry(name)
            number = entry.by_version.get(version)
            if number is None:
                raise self._unknown_version(name, entry, version)
            found = entry.loaded.get(number)
            if found is not None:
                return found
            with self._loading:
                if self.entries.get(name) is entry and number in entry.available:
                    self._load(entry, name, number)
                    entry.index()

    def _unknown_version(self, name: str, entry: ModelEntry, version: str) -> UnknownVersion:
        states = entry.states()
        known = [*entry.answering_aliases(), *states, "latest"]
        why = states.get(version, entry.read_error)
        reason = f": {why.removesuffix('.')}" if why else ""
        message = f"The model {name!r} has no version {version[:80]!r}{reason}."
        return UnknownVersion(message, nearest(version[:80], known))

    def about(self, name: str, version: str = "") -> dict[str, Any]:
        """Return the description of a version; one that is not loaded is described by its manifest."""
        entry = self.entry(name)
        number = entry.by_version.get(version)
        if number in entry.available and number not in entry.loaded and self.store is not None:
            return self.store.get(name, number).manifest.public()
        return self.get(name, version).about()

    def require_models(self) -> None:
        """Raise where there is nothing to serve.

        Raises
        ------
        StoreError
            There are no models.
        """
        if not self.entries:
            where = f" in {str(self.store.root)!r}" if self.store else ""
            files = self.unpublished()
            hint = f"{files[0]}." if files else "mlops-lab train publishes one, or name another folder."
            raise StoreError(f"There are no models{where}.", hint)

    def unpublished(self) -> list[str]:
        """Return a sentence for each unpublished file of a model in the folder, with the command to publish it."""
        if self.store is None or not self.store.root.is_dir():
            return []
        from mlops_lab.store.names import as_name

        files = sorted(path for path in self.store.root.iterdir() if path.suffix in MODEL_FILES and path.is_file())
        models = "" if str(self.store.root) == "models" else f" --models {shlex.quote(str(self.store.root))}"
        return [
            f"{path} is not published: mlops-lab models publish {shlex.quote(str(path))} --name {as_name(path.stem)}"
            f" --data test.npz{models}"
            for path in files
        ]

    def is_ready(self) -> bool:
        """Return whether there is a model that answers.

        Another one beside it, whose only version cannot be loaded, does not answer, and ``/readyz`` names it. It takes
        nothing from those that do: a server that is taken out of service for it would answer for none.
        """
        return any(entry.by_version for entry in self.entries.values())

    def unavailable(self) -> dict[str, Any]:
        """Return the models that have no version to answer with, and why."""
        return {name: one.states() or one.read_error for name, one in self.entries.items() if not one.by_version}

    def listing(self) -> list[dict[str, Any]]:
        """Return every model with its versions and aliases."""
        return [{"name": name, **entry.describe()} for name, entry in sorted(self.entries.items())]

    def __repr__(self) -> str:
        versions = [f"{name} {version}" for name, entry in self.entries.items() for version in entry.states()]
        return f"<Registry: {', '.join(versions) or 'nothing'} in memory>"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, str, str]] = [
            (name, version, state) for name, entry in self.entries.items() for version, state in entry.states().items()
        ]
        return show.card("Models in memory", show.table(rows, ("model", "version", "state")))


def measure(predictor: Predictor, repeats: int = 3) -> float:
    """Return the seconds of one prediction of one example, the best of some.

    It is infinite for a model that has no answer to an example of zeros, or of empty text: such a version is never
    computed on the event loop.
    """
    if predictor.signature.is_classifier:
        return _best(partial(predictor.engine.predict, predictor.input.zeros()), repeats)
    example = {spec.name: spec.zeros() for spec in predictor.signature.inputs}
    try:
        return _best(partial(tensors.run, predictor, example), repeats)
    except Exception:  # zeros need not be an example; its golden examples are what a version has to answer
        return math.inf


def _best(call: Callable[[], object], repeats: int) -> float:
    best = math.inf
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best
