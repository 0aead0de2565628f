"""``traffic.json``, beside ``aliases.json``: which versions share the default address, and which one only listens.

::

    {"canary": {"v1": 90, "v2": 10}, "production": 1, "shadow": "v2"}

``canary`` gives each version its share of the requests that name no version. ``production`` notes where that alias
pointed when the shares were set: once it points elsewhere the shares are over, so promoting and rolling back always
win. ``shadow`` gets a copy of each such request, and its answers are only compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlops_lab import strict_json
from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.files import write_atomically
from mlops_lab.store.disk import locked
from mlops_lab.store.history import append_history
from mlops_lab.store.models import ModelStore
from mlops_lab.store.names import is_version_number
from mlops_lab.store.reading import read_below

MOST = 1_000_000
MAX_BYTES = 2**20


@dataclass(frozen=True)
class TrafficSettings:
    """The versions that answer requests which name no version.

    Parameters
    ----------
    canary
        Pairs of a version and its weight; none where the default version answers alone.
    production
        Where ``production`` pointed when the weights were set.
    shadow
        The version that gets copies.

    Examples
    --------
    >>> TrafficSettings(((1, 90), (2, 10)), production=1).to_dict()
    {'canary': {'v1': 90, 'v2': 10}, 'production': 1}
    """

    canary: tuple[tuple[int, int], ...] = ()
    production: int | None = None
    shadow: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        entry: dict[str, Any] = {}
        if self.canary:
            entry["canary"] = {f"v{version}": weight for version, weight in self.canary}
            if self.production is not None:
                entry["production"] = self.production
        if self.shadow is not None:
            entry["shadow"] = f"v{self.shadow}"
        return entry


def read_traffic(folder: Path) -> TrafficSettings | None:
    """Return the settings of a model; ``None`` where there are none.

    Raises
    ------
    StoreError
        The file is not what it should be; the message says where.
    """
    path = folder / "traffic.json"
    try:
        entry = strict_json.loads(read_below(folder, path.name, MAX_BYTES))
        settings = _settings(entry)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        hint = 'It should look like {"canary": {"v1": 90, "v2": 10}, "shadow": "v2"}; or remove it.'
        raise StoreError(f"{path} cannot be used: {error}.", hint) from error
    return settings if settings.canary or settings.shadow is not None else None


def _settings(entry: Any) -> TrafficSettings:
    if not isinstance(entry, dict) or not set(entry) <= {"canary", "production", "shadow"}:
        raise ValueError("it is not an object of canary, production and shadow")
    canary, production, shadow = entry.get("canary") or {}, entry.get("production"), entry.get("shadow")
    if not isinstance(canary, dict) or not all(
        type(weight) is int and 0 <= weight <= MOST for weight in canary.values()
    ):
        raise ValueError(f"the weights of canary are not whole numbers from 0 to {MOST}")
    pairs = tuple(sorted((_number(word), weight) for word, weight in canary.items()))
    if pairs and not sum(weight for _, weight in pairs):
        raise ValueError("the weights of canary are all 0")
    if production is not None and type(production) is not int:
        raise ValueError("production is not a whole number")
    return TrafficSettings(pairs, production, None if shadow is None else _number(shadow))


def _number(word: Any) -> int:
    digits = word.removeprefix("v") if isinstance(word, str) else ""
    if not is_version_number(digits):
        raise ValueError(f"{str(word)[:40]!r} is not a version such as 'v2'")
    return int(digits)


def read_shares(words: Sequence[str]) -> dict[str | int, int]:
    """Parse the arguments of a command line into weights.

    Examples
    --------
    >>> read_shares(["v1=90", "v2=10"])
    {'v1': 90, 'v2': 10}
    """
    shares: dict[str | int, int] = {}
    for word in words:
        version, _, weight = word.partition("=")
        if not (version and weight.isascii() and weight.isdigit() and len(weight) <= 7) or version in shares:
            raise WrongUsage(f"{word!r} is not a version and its share.", "Write each version once: v1=90 v2=10.")
        shares[version] = int(weight)
    return shares


def split_traffic(store: ModelStore, name: str, weights: Mapping[str | int, int], *, why: str = "") -> TrafficSettings:
    """Share the default address of a model among versions; no weights end that.

    Parameters
    ----------
    store, name
        The store and the model, which needs a version in production: the others are tried against it.
    weights
        Version and share: ``{"v1": 90, "v2": 10}``.
    why
        A sentence for the history.

    Raises
    ------
    UnknownModel, UnknownVersion
        The message names those there are.
    WrongUsage
        The weights make no sense, or nothing is in production.
    """
    numbers = {store.resolve(name, word): weight for word, weight in weights.items()}
    if len(numbers) < len(weights):
        raise WrongUsage(f"{', '.join(map(str, weights))} name one version twice.", "Give each version one share.")
    production = store.aliases(name).get("production")
    if numbers and production is None:
        raise WrongUsage(
            f"No version of {name!r} is in production.", f"mlops-lab models promote {name} v1 comes first."
        )
    try:
        wanted = _settings({"canary": {f"v{number}": weight for number, weight in numbers.items()}})
    except ValueError as error:
        raise WrongUsage(f"{dict(weights)} cannot be shares: {error}.", "Take whole numbers: v1=90 v2=10.") from error
    new = {"canary": wanted.canary, "production": production if numbers else None}
    return _change(store, name, "split" if numbers else "ended the split", why, **new)


def shadow_traffic(store: ModelStore, name: str, version: str | int | None, *, why: str = "") -> TrafficSettings:
    """Give a version copies of the requests to the default address, to compare its answers; ``None`` ends that."""
    number = None if version is None else store.resolve(name, version)
    store.resolve(name)
    return _change(store, name, "shadowed" if number else "ended the shadow", why, shadow=number)


def _change(store: ModelStore, name: str, event: str, why: str, **new: Any) -> TrafficSettings:
    folder = store.root / name
    with locked(folder):
        try:
            before = read_traffic(folder) or TrafficSettings()
        except StoreError:  # what cannot be read is replaced
            before = TrafficSettings()
        after = replace(before, **new)
        write_atomically(folder / "traffic.json", json.dumps(after.to_dict()).encode() + b"\n")
        append_history(folder, event, traffic=after.to_dict(), before=before.to_dict(), why=why)
    return after
