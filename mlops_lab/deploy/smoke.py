"""A smoke test of a deployment: its answers to the golden examples of the version."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops_lab.client import Client
from mlops_lab.errors import LabError
from mlops_lab.store import ModelStore

if TYPE_CHECKING:
    from mlops_lab.deploy.spec import Spec


class WrongAnswers(LabError):
    """The answers of a deployment differ from those of the published model."""

    code = "wrong_answers"


@dataclass(frozen=True)
class Smoke:
    """The result of a smoke test.

    Parameters
    ----------
    url
        The address of the deployment.
    examples
        The number of golden examples, each sent in its own request.
    difference
        The largest difference between a probability in an answer and in the manifest.
    seconds
        The duration of all requests.
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


def run(spec: Spec, url: str) -> Smoke:
    """Send the golden examples of a version to its deployment, one by one, so that every replica receives some.

    Parameters
    ----------
    spec
        The specification of the deployment.
    url
        Its address: our server, or any server with the course's routes.

    Raises
    ------
    WrongAnswers
        An answer differs by more than the manifest's tolerance.
    LabError
        The server answered with an error.
    """
    if spec.app:  # it has passed its health check, and its answers are not known here
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
            f"The answers of {url} to the golden examples of {spec.name} v{spec.version} differ by {difference:.2g}; "
            f"the tolerance is {golden.tolerance:g}.",
            "It does not serve that version: check its image.",
        )
    return Smoke(url, len(answers), difference, seconds)
