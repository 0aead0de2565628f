"""The settings of the loop, read from ``pipeline.toml``: one section for each part, and a default for every key."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mlops_lab.errors import WrongUsage, nearest

FRAMEWORKS = ("keras", "sklearn")
SOURCES = ("old", "new")
LABELLERS = ("feedback", "answers")


@dataclass(frozen=True)
class DataSettings:
    """``[data]``: what the first version is trained on; ``limit`` 0 takes all of it."""

    name: str = "fashion-mnist"
    limit: int = 0
    seed: int = 0


@dataclass(frozen=True)
class TrainSettings:
    """``[train]``: ``keras`` trains the course's LeNet-5, ``sklearn`` a small network for images of few pixels."""

    framework: str = "keras"
    epochs: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if self.framework not in FRAMEWORKS:
            raise WrongUsage(f"There is no framework {self.framework!r}.", nearest(self.framework, FRAMEWORKS))


@dataclass(frozen=True)
class ValidateSettings:
    """``[validate]``: the thresholds, and what a retrained version may lose on old data and must win on new."""

    gates: str = ""
    max_old_drop: float = 0.01
    min_new_gain: float = 0.0
    images: int = 200


@dataclass(frozen=True)
class ReleaseSettings:
    """``[release]``: production's address, and what staging must bear. Times are seconds, ``p99`` and ``budget`` ms."""

    url: str = ""
    clients: int = 2
    seconds: float = 2.0
    p99: float = 500.0
    per_second: float = 10.0
    budget: float = 250.0
    ready_seconds: float = 60.0
    switch_seconds: float = 15.0


@dataclass(frozen=True)
class MonitorSettings:
    """``[monitor]``: the prediction log, and how many of the newest predictions are looked at."""

    log: str = ""
    window: int = 400
    fewest: int = 100
    rehearse: bool = True


@dataclass(frozen=True)
class RetrainSettings:
    """``[retrain]``: how many judged predictions are needed, and how they are mixed with what is known.

    ``held_out`` of the new examples are kept from training; the others are repeated until they are ``share`` of it.
    """

    labels: int = 300
    held_out: float = 0.4
    share: float = 0.3
    data: tuple[str, ...] = SOURCES
    labelled_by: str = "feedback"

    def __post_init__(self) -> None:
        if set(self.data) != set(SOURCES):
            message = f"[retrain] data = {list(self.data)} is refused: what a model is not shown again, it forgets."
            raise WrongUsage(message, 'Train on both: data = ["old", "new"].')
        if self.labelled_by != "feedback":
            message = "[retrain] labelled_by = {!r} is refused: a model that is trained on its own answers learns its"
            hint = 'Let people judge: labelled_by = "feedback", and POST /models/<name>/feedback.'
            raise WrongUsage(f"{message.format(self.labelled_by)} mistakes.", hint)
        if not (0.1 <= self.held_out <= 0.9 and 0 < self.share <= 0.5):
            given = f"held_out = {self.held_out}, share = {self.share}"
            raise WrongUsage(f"[retrain] {given} is refused.", "Take held_out from 0.1 to 0.9, share up to 0.5.")


@dataclass(frozen=True)
class CanarySettings:
    """``[canary]``: the share of requests in percent, and how many judged answers of it decide within ``seconds``."""

    share: int = 10
    judged: int = 60
    seconds: float = 600.0

    def __post_init__(self) -> None:
        if not (0 < self.share < 100 and self.judged >= 1):
            raise WrongUsage(f"[canary] share = {self.share}, judged = {self.judged} is refused.", "Take share = 10.")


SECTIONS: dict[str, type] = {
    "data": DataSettings,
    "train": TrainSettings,
    "validate": ValidateSettings,
    "release": ReleaseSettings,
    "monitor": MonitorSettings,
    "retrain": RetrainSettings,
    "canary": CanarySettings,
}
NAMES = ("name", "models", "work")


@dataclass(frozen=True)
class LoopConfig:
    """The settings of one loop.

    Parameters
    ----------
    name
        Of the model.
    models
        The models folder.
    work
        The folder of what the steps have made, by their inputs, and of the history.
    data, train, validate, release, monitor, retrain, canary
        The sections.

    Examples
    --------
    >>> LoopConfig("clothes", Path("models"), Path(".pipeline")).canary.share
    10
    """

    name: str
    models: Path
    work: Path
    data: DataSettings = field(default_factory=DataSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    validate: ValidateSettings = field(default_factory=ValidateSettings)
    release: ReleaseSettings = field(default_factory=ReleaseSettings)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    retrain: RetrainSettings = field(default_factory=RetrainSettings)
    canary: CanarySettings = field(default_factory=CanarySettings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "models": str(self.models), "work": str(self.work)}


def read_config(path: str | Path) -> LoopConfig:
    """Read ``pipeline.toml``; paths in it are relative to its folder.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    WrongUsage
        It cannot be read, a key or a value is unknown, or the loop would train in a way that is refused.
    """
    path = Path(path)
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUsage(f"{path} cannot be read: {error.strerror}.", "Name a pipeline.toml.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} is not TOML: {error}.", "docs/loop.md shows one.") from error
    for key in found:
        if key not in (*NAMES, *SECTIONS):
            raise WrongUsage(f"{path} has an unknown key {key!r}.", nearest(key, (*NAMES, *SECTIONS)))
    sections = {name: _section(path, name, kind, found.get(name, {})) for name, kind in SECTIONS.items()}
    name = found.get("name")
    if not isinstance(name, str) or not name:
        raise WrongUsage(f"{path} names no model.", 'Begin it with: name = "clothes"')
    models, work = (path.parent / str(found.get(key, key)) for key in ("models", "work"))
    return LoopConfig(name, models, work, **_resolved(path.parent, sections))


def _section(path: Path, name: str, kind: type, values: Any) -> Any:
    known = {one.name: one.default for one in fields(kind)}
    if not isinstance(values, dict):
        raise WrongUsage(f"{path}: {name} is no section.", f"Write [{name}].")
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise WrongUsage(f"{path} has an unknown key {name}.{key}.", nearest(key, known))
        value = tuple(value) if isinstance(value, list) else value
        value = float(value) if isinstance(known[key], float) and type(value) is int else value
        if type(value) is not type(known[key]):
            message = f"{path}: {name}.{key} = {value!r} is no {type(known[key]).__name__}."
            raise WrongUsage(message, f"The default is {known[key]!r}.")
        given[key] = value
    return kind(**given)


def _resolved(folder: Path, sections: dict[str, Any]) -> dict[str, Any]:
    """Return the sections with the files that they name found from the folder of the configuration."""
    log, gates = sections["monitor"].log, sections["validate"].gates
    if log and "://" not in log:
        sections["monitor"] = replace(sections["monitor"], log=str(folder / log))
    if gates:
        sections["validate"] = replace(sections["validate"], gates=str(folder / gates))
    return sections
