"""A chain: models fed one into the next.

A chain names its links. The versions behind the names are looked up for every request, and the types of the links are
compared each time (a handful of comparisons). So a version that is promoted into a chain is checked before it is used,
and the error for one that does not fit names its link.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlops_lab import show
from mlops_lab.errors import BrokenChain, LabError, WrongUsage
from mlops_lab.predict import Predictor
from mlops_lab.serve.chains.steps import STEPS, Kind, ModelStep, Step, StepResult, make_step
from mlops_lab.serve.core.inference import InferenceService
from mlops_lab.serve.core.timing import RequestContext
from mlops_lab.serve.core.traffic import Route
from mlops_lab.store.names import check_name

MAX_LINKS = 16
_log = logging.getLogger("mlops_lab.serve")

Find = Callable[[str, str], Route]


@dataclass(frozen=True)
class ModelLink:
    """A link that names a model; by default the version in production, else the newest."""

    model: str
    version: str = ""

    @property
    def name(self) -> str:
        """The name of the link in errors and answers."""
        return self.model


@dataclass(frozen=True)
class Chain:
    """Models and steps, each fed with what the one before gives.

    Parameters
    ----------
    links
        Names of models (``"digits"``, ``"digits/v1"``, ``"digits/production"``) or steps (``"find-digits"``,
        ``"join"``); or the objects of a JSON file, ``{"model": …, "version": …}`` and ``{"step": …}``; loaded
        predictors; or steps of your own.
    name
        Its name under ``/chains``.
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
            with self._located(number, str(link)[:80]):
                links.append(_link(link))
        object.__setattr__(self, "links", tuple(links))

    def bind(self, find: Find) -> list[Step | ModelStep]:
        """Return the steps that the links stand for at present, once each fits the one before.

        Raises
        ------
        LabError
            A model is not there, or does not fit: the message names the link.
        """
        steps: list[Step | ModelStep] = []
        kind = Kind("request")
        for number, link in enumerate(self.links, 1):
            with self._located(number, link.name):
                step = ModelStep(find(link.model, link.version)) if isinstance(link, ModelLink) else link
                try:
                    kind = step.gives(kind)
                except WrongUsage as error:
                    raise BrokenChain(error.message, error.hint) from error
                steps.append(step)
        if kind.what == "images":
            raise BrokenChain(f"The chain {self.name!r} ends with {kind}.", "Let a model be its last link, or 'join'.")
        return steps

    def run(
        self, steps: Sequence[Step | ModelStep], value: Any, service: InferenceService, context: RequestContext
    ) -> dict[str, Any]:
        """Return the answer, and the facts about each link.

        Parameters
        ----------
        steps
            The steps from :meth:`bind`.
        value
            The input of the first link: a list of one image.
        service
            Answers for the models, and admits the steps.
        context
            The context of the request.
        """
        facts = []
        for number, step in enumerate(steps, 1):
            with self._located(number, step.name):
                started = time.perf_counter()
                result = _run_step(step, value, service, context)
                milliseconds = round(1000 * (time.perf_counter() - started), 3)
            role = "model" if isinstance(step, ModelStep) else "step"
            facts.append({"link": number, role: step.name, **result.facts, "milliseconds": milliseconds})
            value = result.value
        answer = value if isinstance(value, str) else [item.to_dict() for item in value]
        return {"chain": self.name, "answer": answer, "links": facts}

    @contextmanager
    def _located(self, number: int, name: str) -> Iterator[None]:
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
        """Return the content of the chain's file, as far as its links have names."""
        return {"name": self.name, "description": self.description, "links": [_link_to_dict(x) for x in self.links]}

    def _repr_html_(self) -> str:
        rows = [(place, " ".join(link.values())) for place, link in enumerate(self.to_dict()["links"], 1)]
        return show.card(f"Chain {self.name!r}: {self.description}", show.table(rows, ("link", "is")))


def _run_step(step: Step | ModelStep, value: Any, service: InferenceService, context: RequestContext) -> StepResult:
    if isinstance(step, ModelStep):
        return step.ask(value, service, context.link())
    with service.admission.admit(step.name, context.elapsed()):
        return step.run(value, service.limits)


def _link_to_dict(link: Any) -> dict[str, str]:
    if isinstance(link, ModelLink):
        return {"model": link.model, **({"version": link.version} if link.version else {})}
    if isinstance(link, ModelStep):
        return {"model": link.name, "version": f"v{link.predictor.version}"}
    return {"step": link.name}


def _link(link: Any) -> Any:
    """Return one link from a name, from the object of a JSON file, or as it is."""
    if isinstance(link, Predictor):
        return ModelStep(Route(link))
    if isinstance(link, str):
        name, slash, version = link.partition("/")
        return make_step(link, {}) if not slash and name in STEPS else _model(name, version)
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


def _model(name: Any, version: Any) -> ModelLink:
    if not isinstance(name, str) or not isinstance(version, str):
        raise WrongUsage("Its model and version are not strings.", 'Write {"model": "digits", "version": "v1"}.')
    return ModelLink(check_name(name), version)
