"""A version that is computed by the replicas of a Ray Serve deployment, on whichever machines they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlops_lab.errors import DeadlineExceeded, MissingPackage, Unavailable
from mlops_lab.predict import Predictor

ATTEMPTS = 3
PAUSE = 0.05


class RayEngine:
    """Hands inputs to a deployment. A prediction changes nothing, so it is asked again where a replica died with it.

    Parameters
    ----------
    handle
        Of a deployment whose replicas have the methods of :class:`Replica`.
    seconds
        How long an answer may take, all attempts together.

    Raises
    ------
    MissingPackage
        Ray is not installed.
    """

    def __init__(self, handle: Any, seconds: float = 10.0) -> None:
        exceptions, serve = import_ray("ray.exceptions"), import_ray("ray.serve.exceptions")
        self._handle = handle
        self._seconds = seconds
        self._unavailable = exceptions.ActorUnavailableError
        self._died = (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.ObjectLostError)
        self._refused = (serve.BackPressureError, serve.DeploymentUnavailableError)

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``; the errors are those of :meth:`run`."""
        rows: NDArray[np.float32] = self._ask(self._handle.predict, inputs)
        return rows

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return the named outputs of a model that is no plain classifier.

        Raises
        ------
        Unavailable
            Each replica that was asked died, or none takes requests.
        DeadlineExceeded
            There was no answer in time.
        """
        answers: Mapping[str, NDArray[Any]] = self._ask(self._handle.run, dict(inputs))
        return answers

    def _ask(self, method: Any, inputs: Any) -> Any:
        end = time.monotonic() + self._seconds
        deaths = 0
        while deaths < ATTEMPTS:
            try:
                return method.remote(inputs).result(timeout_s=max(0.0, end - time.monotonic()))
            except self._unavailable:  # its machine is gone, or may be: Ray has not decided yet
                time.sleep(PAUSE)
            except self._died:
                deaths += 1
            except self._refused as error:
                raise Unavailable(f"The replicas take no request: {error}", "Send it again in a second.") from error
            except TimeoutError as error:
                message = f"The replicas gave no answer within {self._seconds:g} s."
                raise DeadlineExceeded(message, "Send it again, or add replicas.") from error
        raise Unavailable(f"{ATTEMPTS} replicas died with this request.", "Send it again in a second.")


class Replica:
    """One copy of a version, in a process of Ray.

    Parameters
    ----------
    load
        Returns the model, on the machine where the replica is.
    """

    def __init__(self, load: Callable[[], Predictor]) -> None:
        self._engine = load().engine

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n, classes)``."""
        return self._engine.predict(inputs)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        """Return the named outputs, or the first one of an engine that has no names for them."""
        engine: Any = self._engine
        if hasattr(engine, "run"):
            answers: Mapping[str, NDArray[Any]] = engine.run(inputs)
            return answers
        return {"": engine.predict(next(iter(inputs.values())))}


def import_ray(name: str = "ray") -> Any:
    """Return a module of Ray.

    Raises
    ------
    MissingPackage
        Ray is not installed.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingPackage("Ray is not installed.", "pip install 'mlops-lab[ray]'") from error
