"""A chain: models fed one into the next.

A chain names its links; which model a name means is looked up for every request, and whether the links fit is looked at
again each time (it is a handful of comparisons). So a version that is promoted into a chain is checked before it is
asked, and one that does not fit is told by its link.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from mlops_lab import show
from mlops_lab.errors import BrokenChain, LabError, WrongUsage
from mlops_lab.predict import Predictor
from mlops_lab.serve.chains.steps import STEPS, Ask, Kind, Step, make_step
from mlops_lab.serve.limits import Limits
from mlops_lab.serve.protocols import course
from mlops_lab.store.names import check_name

MAX_LINKS = 16
_log = logging.getLogger("mlops_lab.serve")

Find = Callable[[str, str], Predictor]
Admit = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Model:
    """A link that names a model; by default the version in production, else the newest."""

    model: str
    version: str = ""

    @property
    def name(self) -> str:
        """What errors and answers call it."""
        return self.model


@dataclass(frozen=True)
class Chain:
    """Models and steps, each fed with what the one before gives.

    Parameters
    ----------
    links
        Words: a model (``"digits"``, ``"digits/v1"``, ``"digits/production"``) or a step (``"find-digits"``,
        ``"join"``). Or what a JSON file holds, ``{"model": …, "version": …}`` and ``{"step": …}``, a loaded predictor,
        or a step of your own.
    name
        Its place under ``/chains``.
    description
        One sentence for people.

    Raises
    ------
    WrongUsage
        A link makes no sense; the message names it.

    Examples
    --------
    >>> chain = Chain(["find-digits", "digits/production", "join"], name="number")
    >>> [link.name for link in chain.links]
    ['find-digits', 'digits', 'join']
    """

    links: Sequence[Any]
    name: str = "chain"
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "a chain")
        if isinstance(self.links, str) or not isinstance(self.links, Sequence) or not 0 < len(self.links) <= MAX_LINKS:
            raise WrongUsage(
                f"The links of the chain {self.name!r} are not a list of 1 to {MAX_LINKS}.",
                'Write them like ["find-digits", "digits/production", "join"].',
            )
        links = []
        for number, link in enumerate(self.links, 1):
            with self._told(number, str(link)[:80]):
                links.append(_link(link))
        object.__setattr__(self, "links", tuple(links))

    def bind(self, find: Find, on_prediction: course.OnPrediction | None = None) -> list[Step]:
        """Return what the links mean just now, once each fits the one before.

        Raises
        ------
        LabError
            A model is not there, or does not fit: the message names the link.
        """
        steps: list[Step] = []
        kind = Kind("request")
        for number, link in enumerate(self.links, 1):
            with self._told(number, link.name):
                step = Ask(find(link.model, link.version), on_prediction) if isinstance(link, Model) else link
                if isinstance(step, Ask) and step.on_prediction is None:
                    step = Ask(step.predictor, on_prediction)
                try:
                    kind = step.gives(kind)
                except WrongUsage as error:
                    raise BrokenChain(error.message, error.hint) from error
                steps.append(step)
        if kind.what == "images":
            raise BrokenChain(f"The chain {self.name!r} ends with {kind}.", "Let a model be its last link, or 'join'.")
        return steps

    def run(self, steps: Sequence[Step], value: Any, limits: Limits, admit: Admit | None = None) -> dict[str, Any]:
        """Return the answer, and what each link had to do with it.

        Parameters
        ----------
        steps
            From :meth:`bind`.
        value
            What the first link takes: a list of one image.
        limits
            The server's.
        admit
            Holds a place for a link of a name while it works.
        """
        told = []
        for number, step in enumerate(steps, 1):
            with self._told(number, step.name), (admit or _free)(step.name):
                started = time.perf_counter()
                value, facts = step.run(value, limits)
                milliseconds = round(1000 * (time.perf_counter() - started), 3)
            role = "model" if isinstance(step, Ask) else "step"
            told.append({"link": number, role: step.name, **facts, "milliseconds": milliseconds})
        answer = value if isinstance(value, str) else [item.to_dict() for item in value]
        return {"chain": self.name, "answer": answer, "links": told}

    @contextmanager
    def _told(self, number: int, name: str) -> Iterator[None]:
        """Let errors say in which link they happened; their class, status and code stay what they are."""
        where = f"Link {number} ({name}) of the chain {self.name!r}"
        try:
            yield
        except LabError as error:
            error.message = f"{where}: {error.message}"
            error.args = (error.message,)
            raise
        except Exception as error:
            _log.exception("%s failed", where)
            raise LabError(f"{where} failed inside the server.", "Look into its log.", code="internal") from error

    def to_dict(self) -> dict[str, Any]:
        """Return what the chain's file holds, as far as its links are words."""
        links = [
            {"model": link.model, **({"version": link.version} if link.version else {})}
            if isinstance(link, Model)
            else {"model": link.name, "version": f"v{link.predictor.version}"}
            if isinstance(link, Ask)
            else {"step": link.name}
            for link in self.links
        ]
        return {"name": self.name, "description": self.description, "links": links}

    def _repr_html_(self) -> str:
        rows = [(place, " ".join(link.values())) for place, link in enumerate(self.to_dict()["links"], 1)]
        return show.card(f"Chain {self.name!r}: {self.description}", show.table(rows, ("link", "is")))


def _free(name: str) -> AbstractContextManager[None]:
    return nullcontext()


def _link(link: Any) -> Any:
    """Return one link from a word, from the object of a JSON file, or as it is."""
    if isinstance(link, Predictor):
        return Ask(link)
    if isinstance(link, str):
        word, slash, version = link.partition("/")
        return make_step(link, {}) if not slash and word in STEPS else _model(word, version)
    if isinstance(link, Mapping):
        keys = set(link)
        if "step" in keys and isinstance(link["step"], str):
            return make_step(link["step"], {key: value for key, value in link.items() if key != "step"})
        if "model" in keys and keys <= {"model", "version"}:
            return _model(link["model"], link.get("version", ""))
        raise WrongUsage(
            f"It has the keys {sorted(map(str, keys))}.", 'Write {"model": …, "version": …} or {"step": …}.'
        )
    if all(hasattr(link, member) for member in ("name", "input", "gives", "run")):
        return link
    raise WrongUsage(f"It is a {type(link).__name__}.", "Name a model or a step, or pass a Predictor or a Step.")


def _model(name: Any, version: Any) -> Model:
    if not isinstance(name, str) or not isinstance(version, str):
        raise WrongUsage("Its model and version are not words.", 'Write {"model": "digits", "version": "v1"}.')
    return Model(check_name(name), version)
