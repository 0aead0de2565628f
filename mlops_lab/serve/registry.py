"""The models that are loaded in memory. The store is on disk; this is what answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mlops_lab import show
from mlops_lab.errors import LabError, StoreError, UnknownModel, UnknownVersion, WrongUsage, nearest
from mlops_lab.predict import Predictor
from mlops_lab.store import ModelStore
from mlops_lab.store.routing import TrafficSettings, read_traffic

_log = logging.getLogger("mlops_lab.serve")


@dataclass
class Entry:
    """One model: its versions in memory, the names for them, and why others are not there."""

    ready: dict[int, Predictor] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    # What each version's manifest looked like when it was loaded, so that nothing is loaded twice.
    seen: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    # Every word that finds a version: a request is one look-up, and never a path.
    words: dict[str, Predictor] = field(default_factory=dict)
    # Who shares the default address, if anybody; and what is wrong with the settings on disk.
    traffic: TrafficSettings | None = None
    traffic_wrong: str = ""
    # Why the folder or its aliases cannot be read just now; what was read before goes on.
    unread: str = ""

    def index(self) -> None:
        """Make the words: ``v1``, ``1``, each alias, ``latest`` and the empty word for the default."""
        words = {alias: self.ready[number] for alias, number in self.aliases.items() if number in self.ready}
        # Versions come after aliases, so that no alias written by hand can stand for another version.
        words |= {word: predictor for number, predictor in self.ready.items() for word in (f"v{number}", str(number))}
        if self.ready:
            words["latest"] = self.ready[max(self.ready)]
            words[""] = words.get("production", words["latest"])
        self.words = words

    def answering(self) -> dict[str, int]:
        """Return the aliases that find what they name: its version is in memory, and no other has that word."""
        known = sorted((alias, number) for alias, number in self.aliases.items() if number in self.ready)
        return {alias: number for alias, number in known if self.words.get(alias) is self.ready[number]}

    def states(self) -> dict[str, str]:
        """Return ``ready``, or the reason why not, for each version."""
        states = {number: f"failed: {why}" for number, why in self.failed.items()}
        for number in self.ready:
            refused = self.failed.get(number)
            states[number] = f"ready; what is on disk now was refused: {refused}" if refused else "ready"
        return {f"v{number}": states[number] for number in sorted(states)}


class Registry:
    """Models by name and version, ready to answer.

    Parameters
    ----------
    wrap
        Gets each version before anyone is answered with it, and returns what answers: such as one that computes in
        batches.

    Examples
    --------
    >>> Registry.of("models").get("clothes", "v1")  # doctest: +SKIP
    """

    def __init__(self, wrap: Callable[[Predictor], Predictor] | None = None) -> None:
        self._wrap = wrap
        self.entries: dict[str, Entry] = {}
        # Every version there ever was in this process; whoever asks for a state is told that one has ended.
        self.known: dict[str, set[int]] = {}
        self.store: ModelStore | None = None

    @classmethod
    def of(cls, models: Any, wrap: Callable[[Predictor], Predictor] | None = None) -> Registry:
        """Return a registry of whatever holds models.

        Parameters
        ----------
        models
            A registry, a :class:`~mlops_lab.store.ModelStore`, the path of one, a predictor, or several predictors.
        wrap
            Of a new registry; one that is there already has its own.
        """
        if isinstance(models, Registry):
            if wrap is not None:
                raise WrongUsage("A registry's versions are wrapped already, or not.", "Pass the models themselves.")
            return models
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
        """Load every version of a store. One that cannot be loaded is noted with its reason; the others serve."""
        self.store = store
        self.refresh()

    def refresh(self) -> bool:
        """Make memory what the store is now, and tell whether anything changed.

        A new version is loaded and has answered its golden examples before the first request sees it; a version that
        was removed goes when the last request that uses it is answered. What cannot be loaded displaces nothing.
        """
        if self.store is None:
            return False
        store, old = self.store, self.entries
        entries = {name: refreshed(store, name, old.get(name), self._ready) for name in store.names()}
        changed = entries != old
        for name, entry in entries.items():
            if entry.unread and entry.unread != old.get(name, Entry()).unread:
                _log.warning("%s", entry.unread)  # once, and again only when it changes
        # One assignment: a request sees the models as they were or as they are, never something between.
        self.entries = entries
        for name, entry in entries.items():
            self.known.setdefault(name, set()).update(entry.ready, entry.failed)
        return changed

    def add(self, predictors: Iterable[Predictor]) -> None:
        """Add loaded predictors that need not lie in a store."""
        for predictor in predictors:
            entry = self.entries.setdefault(predictor.name, Entry())
            entry.ready[predictor.version] = self._ready(predictor)
            entry.index()

    def _ready(self, predictor: Predictor) -> Predictor:
        return predictor if self._wrap is None else self._wrap(predictor)

    def entry(self, name: str) -> Entry:
        """Return a model.

        Raises
        ------
        UnknownModel
            The message names those there are.
        """
        found = self.entries.get(name)
        if found is None:
            raise UnknownModel(f"There is no model {name[:80]!r}.", nearest(name[:80], self.entries))
        return found

    def get(self, name: str, version: str = "") -> Predictor:
        """Return a version by ``v3``, alias or ``latest``; by default ``production``, else the newest.

        Raises
        ------
        UnknownModel, UnknownVersion
            The message names those there are.
        """
        entry = self.entry(name)
        found = entry.words.get(version)
        if found is None:
            states = entry.states()
            known = [*entry.answering(), *states, "latest"]
            why = states.get(version, entry.unread)
            reason = f": {why.removesuffix('.')}" if why else ""
            raise UnknownVersion(
                f"The model {name!r} has no version {version[:80]!r}{reason}.", nearest(version[:80], known)
            )
        return found

    def require_models(self) -> None:
        """Go on only if there is something to serve.

        Raises
        ------
        StoreError
            There are no models.
        """
        if not self.entries:
            where = f" in {str(self.store.root)!r}" if self.store else ""
            raise StoreError(f"There are no models{where}.", "mlops-lab train publishes one, or name another folder.")

    def ready(self) -> bool:
        """Tell whether there is a model, and each has a version to answer with."""
        return bool(self.entries) and all(entry.ready for entry in self.entries.values())

    def listing(self) -> list[dict[str, Any]]:
        """Return every model with its versions and aliases."""
        return [{"name": name, **describe(entry)} for name, entry in sorted(self.entries.items())]

    def __repr__(self) -> str:
        versions = [f"{name} {version}" for name, entry in self.entries.items() for version in entry.states()]
        return f"<Registry: {', '.join(versions) or 'nothing'} in memory>"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, str, str]] = [
            (name, version, state) for name, entry in self.entries.items() for version, state in entry.states().items()
        ]
        return show.card("Models in memory", show.table(rows, ("model", "version", "state")))


def refreshed(
    store: ModelStore, name: str, old: Entry | None, ready: Callable[[Predictor], Predictor] = lambda one: one
) -> Entry:
    """Return the entry of a model as the store has it now, with what was loaded already taken over from the old one.

    What is loaded goes through ``ready`` before anyone is answered with it.
    """
    old = old or Entry()
    entry = Entry()
    try:
        versions = store.versions(name)
    except (LabError, OSError) as error:  # a folder that cannot be read: what is loaded goes on, and so do the others
        return replace(old, unread=str(error))
    try:
        entry.aliases = store.aliases(name)
    except LabError as error:  # a damaged file of aliases: the ones we know go on
        entry.aliases, entry.unread = old.aliases, str(error)
    try:
        entry.traffic = read_traffic(store.root / name)
    except LabError as error:  # likewise: the last good settings go on
        entry.traffic, entry.traffic_wrong = old.traffic, str(error)
    for version in versions:
        entry.seen[version] = mark = store.mark(name, version)
        if mark == old.seen.get(version):
            _take_over(entry, old, version)
            continue
        try:
            entry.ready[version] = ready(store.load(name, version))
        except Exception as error:  # whatever is wrong with one artifact must not keep the others from serving
            entry.failed[version] = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
            if version in old.ready:
                entry.ready[version] = old.ready[version]
    entry.index()
    return entry


def _take_over(entry: Entry, old: Entry, version: int) -> None:
    if version in old.ready:
        entry.ready[version] = old.ready[version]
    if version in old.failed:
        entry.failed[version] = old.failed[version]


def describe(entry: Entry) -> dict[str, Any]:
    """Return the versions that answer and the aliases of a model."""
    return {
        "versions": [f"v{number}" for number in sorted(entry.ready)],
        "aliases": {alias: f"v{number}" for alias, number in entry.answering().items()},
    }
