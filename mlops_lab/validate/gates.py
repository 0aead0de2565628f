"""The thresholds of a version, read from one TOML file, and what a gate finds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlops_lab import show
from mlops_lab.errors import WrongUsage, nearest
from mlops_lab.findings import ICONS, Finding
from mlops_lab.store.gates import FILE
from mlops_lab.validate import drawing

DEFAULTS = Path(__file__).parent / FILE


@dataclass(frozen=True, eq=False)
class Gate(Finding):
    """A threshold held against what was measured.

    Parameters
    ----------
    section
        The part of the thresholds' file: ``"quality"``, ``"groups"``, …
    value, limit
        What was measured, and the threshold; ``None`` where the gate is no figure.
    images, samples
        The images that the gate failed for: their names, and a few of them.
    """

    section: str = ""
    value: float | None = None
    limit: float | None = None
    images: tuple[str, ...] = ()
    samples: tuple[NDArray[Any], ...] = field(default=(), repr=False)

    @property
    def missed_by(self) -> float | None:
        """The distance of the value from the threshold, where the gate failed."""
        if self.passed is not False or self.value is None or self.limit is None:
            return None
        return abs(self.value - self.limit)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without pixels."""
        keys = ("section", "name", "state", "passed", "message", "hint", "value", "limit", "missed_by")
        return {**{key: getattr(self, key) for key in keys}, "images": list(self.images)}

    def _repr_html_(self) -> str:
        state = show.state(ICONS[self.state], self.state)
        return show.card(f"{self.section}: {self.name}", state, *self.parts())

    def parts(self) -> list[str]:
        """Return the message, the hint and the images as HTML."""
        hint = f"→ {escape(self.hint)}" if self.hint and not self.passed else ""
        row = drawing.samples(self.samples, self.images, self.name)
        return [part for part in (escape(self.message), hint, row) if part]


def read_gates(path: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """Return the thresholds: the defaults, and over them those of a file.

    Parameters
    ----------
    path
        A TOML file; the defaults are ``mlops_lab/validate/gates.toml``.

    Raises
    ------
    WrongUsage
        The file cannot be read, or has a section, a key or a value that there is not.

    Examples
    --------
    >>> read_gates()["quality"]["min_class_recall"]
    0.5
    """
    gates = _parse(DEFAULTS)
    if path is None:
        return gates
    for section, values in _parse(Path(path)).items():
        if section not in gates or not isinstance(values, Mapping):
            raise WrongUsage(f"{path} has an unknown section [{section}].", nearest(section, gates))
        for key, value in values.items():
            gates[section][key] = _fitting(path, section, key, value, gates[section])
    return gates


def _parse(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}.", "Name a file of thresholds.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} is not TOML: {error}.", f"Copy {DEFAULTS.name} and change its values.") from error


def _fitting(path: Any, section: str, key: str, value: Any, known: Mapping[str, Any]) -> Any:
    """Return a value of the type that the defaults have, so that a mistyped threshold is not simply ignored."""
    if key not in known:
        raise WrongUsage(f"{path} has an unknown threshold {section}.{key}.", nearest(key, known))
    number = isinstance(known[key], float) and isinstance(value, int | float) and not isinstance(value, bool)
    if not number and type(value) is not type(known[key]):
        message = f"{path}: {section}.{key} = {value!r} is no {type(known[key]).__name__}."
        raise WrongUsage(message, f"The default is {known[key]!r}.")
    return float(value) if number else value
