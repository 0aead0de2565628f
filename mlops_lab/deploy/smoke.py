"""The smallest proof that a deployment works: its golden examples, asked of its address."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mlops_lab.client import Client
from mlops_lab.deploy.spec import Spec
from mlops_lab.errors import LabError
from mlops_lab.store import ModelStore


class WrongAnswers(LabError):
    """A deployment answers something else than the model that was published."""

    code = "wrong_answers"


@dataclass(frozen=True)
class Smoke:
    """What was asked of a deployment.

    Parameters
    ----------
    url
        Of the deployment.
    examples
        How many golden examples were asked, each in a request of its own.
    difference
        The largest between a probability there and in the manifest.
    seconds
        For all of them.
    """

    url: str
    examples: int
    difference: float
    seconds: float

    def __str__(self) -> str:
        if not self.examples:
            return f"smoke test: {self.url} answers"
        return (
            f"smoke test: {self.examples} golden examples answered as published "
            f"(largest difference {self.difference:.1g}) in {self.seconds:.2f} s"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def ask(spec: Spec, url: str) -> Smoke:
    """Send the golden examples of a version to where it is deployed, one by one, so that every replica gets some.

    Parameters
    ----------
    spec
        Of the deployment.
    url
        Its address: ours, or any server that speaks the course's routes.

    Raises
    ------
    WrongAnswers
        An answer differs by more than the manifest allows.
    LabError
        The server's own error.
    """
    if spec.app:  # it answers, or it would not be up; what it is to answer is its author's to say
        return Smoke(url, 0, 0.0, 0.0)
    golden = ModelStore(spec.models).get(spec.name, spec.version).manifest.golden
    client = Client(url)
    started = time.perf_counter()
    answers = np.array([client.classify(spec.name, spec.version, image)[0].probabilities for image in golden.inputs])
    seconds = time.perf_counter() - started
    alike = answers.shape == golden.outputs.shape
    difference = float(np.abs(answers - golden.outputs).max()) if alike else float("inf")
    if not difference <= golden.tolerance:
        raise WrongAnswers(
            f"{url} answers the golden examples of {spec.name} v{spec.version} with a difference of {difference:.2g}; "
            f"{golden.tolerance:g} is allowed.",
            "It does not serve that version: look at its image.",
        )
    return Smoke(url, len(answers), difference, seconds)
