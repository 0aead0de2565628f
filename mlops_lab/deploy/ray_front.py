"""Our server in front of Ray: one Ray Serve application for each version that answers.

Everything but the computing stays in the server: limits, errors, metrics, protocols, canary, shadow. It watches the
models folder, so a promotion deploys the version, asks it its golden examples, and only then lets requests reach it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from mlops_lab.engines.ray import RayEngine, Replica, import_ray
from mlops_lab.errors import ServerError, WrongUsage
from mlops_lab.predict import Predictor
from mlops_lab.serve.command import Settings, run
from mlops_lab.serve.core.batching import Batching
from mlops_lab.serve.core.limits import Limits
from mlops_lab.serve.core.registry import Registry
from mlops_lab.store import ModelStore
from mlops_lab.store.golden import ask, check_agreement

START_SECONDS = 180.0
STARTS = 3
REPLICA = "replica"


@dataclass(frozen=True)
class Replicas:
    """The replicas of each version.

    Parameters
    ----------
    number
        How many; with ``most``, the fewest.
    most
        How many there may be under load; by default always ``number``.
    cpus, gpus
        What Ray reserves of a machine for each; a share of a GPU may be given: 0.5.
    per_machine
        How many of them one machine may have, so that not all end with it; by default any number.
    in_flight
        Requests that one replica is given at a time; with ``most``, one more replica is started where there are more.
    start_seconds
        How long a version may take until the first of its replicas answers.

    Examples
    --------
    >>> Replicas(1, most=3).options()["autoscaling_config"]["max_replicas"]
    3
    """

    number: int = 2
    most: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    per_machine: int | None = None
    in_flight: int = 8
    start_seconds: float = START_SECONDS

    def options(self) -> dict[str, Any]:
        """Return the options of a Ray Serve deployment."""
        options: dict[str, Any] = {
            "ray_actor_options": {"num_cpus": self.cpus, "num_gpus": self.gpus},
            "max_ongoing_requests": self.in_flight,
            "graceful_shutdown_timeout_s": Limits.drain_seconds,
        }
        if self.per_machine is not None:
            options["max_replicas_per_node"] = self.per_machine
        if self.most is None:
            return {**options, "num_replicas": self.number}
        scaling = {
            "min_replicas": self.number,
            "max_replicas": self.most,
            "target_ongoing_requests": max(1, self.in_flight // 2),
            "upscale_delay_s": 2.0,
            "downscale_delay_s": 20.0,
        }
        return {**options, "autoscaling_config": scaling}


class _OneModel(ModelStore):
    """A store of which one model is served."""

    def __init__(self, root: str | Path, name: str) -> None:
        super().__init__(root)
        self._name = name

    def names(self) -> list[str]:
        return [name for name in super().names() if name == self._name]


class Deployments:
    """Deploys versions on a Ray cluster that this process is connected to.

    Parameters
    ----------
    store
        The models.
    replicas
        Of each version.
    limits
        The deadline of a request.
    """

    def __init__(self, store: ModelStore, replicas: Replicas, limits: Limits) -> None:
        self._store = store
        self._replicas = replicas
        self._seconds = limits.request_seconds

    def wrap(self, predictor: Predictor) -> Predictor:
        """Deploy a version, and return the predictor that its replicas compute.

        The deployment is deleted when the last request that holds the predictor has been answered.

        Raises
        ------
        ServerError
            The replicas did not start.
        DamagedArtifact
            They do not answer the golden examples as published.
        """
        serve = import_ray("ray.serve")
        application = application_name(predictor)
        deployment = serve.deployment(Replica).options(name=REPLICA, **self._replicas.options())
        # Each replica checks the hashes and the golden examples of what lies on its own machine.
        load = partial(ModelStore(self._store.root.resolve()).load, predictor.name, predictor.version)
        target = deployment.bind(load)
        run_target = serve.RunTarget(target=target, name=application, route_prefix=None)
        handle = serve.run_many([run_target], wait_for_applications_running=False)[0]
        self._wait(serve, application)
        deployed = replace(predictor, engine=RayEngine(handle, self._seconds))
        golden = self._store.get(predictor.name, predictor.version).manifest.golden
        check_agreement("ray", golden.answers, ask(deployed, golden.examples), golden.tolerance)
        weakref.finalize(deployed.engine, _delete, application).atexit = False
        return deployed

    def _wait(self, serve: Any, application: str) -> None:
        end = time.monotonic() + self._replicas.start_seconds
        while time.monotonic() < end:
            found = serve.status().applications.get(application)
            if found is not None and count_running(found):
                return
            if found is not None and found.status == "DEPLOY_FAILED":
                serve.delete(application, _blocking=False)
                reason = found.message.strip().splitlines()[-1:] or ["no reason"]
                raise ServerError(f"{application} does not start on Ray: {reason[0]}", "Look at Ray's logs.")
            time.sleep(0.1)
        serve.delete(application, _blocking=False)
        message = f"{application} did not start on Ray within {self._replicas.start_seconds:g} s."
        raise ServerError(message, "Give the cluster more CPUs, or each replica fewer.")


def application_name(predictor: Predictor) -> str:
    """Return the name of a version's application, which is another where the version was published anew.

    Examples
    --------
    >>> from mlops_lab.inputs import InputSpec
    >>> name = application_name(Predictor("coin", 1, InputSpec((4,)), ("heads", "tails"), engine=None))
    >>> name.startswith("coin-v1-"), len(name)
    (True, 16)
    """
    about = json.dumps(predictor.about(), sort_keys=True, default=str)
    return f"{predictor.name}-v{predictor.version}-{hashlib.sha256(about.encode()).hexdigest()[:8]}"


def count_running(application: Any) -> int:
    """Return the number of replicas that take requests, from an application of ``serve.status()``."""
    deployment = application.deployments.get(REPLICA)
    states: dict[Any, int] = deployment.replica_states if deployment else {}
    return sum(count for state, count in states.items() if getattr(state, "value", state) == "RUNNING")


def _delete(application: str) -> None:
    if import_ray().is_initialized():
        import_ray("ray.serve").delete(application, _blocking=False)


def connect(address: str | None = None) -> None:
    """Connect to a Ray cluster, or start one on this machine that ends with this process.

    Ray listens on all interfaces, so each call to it needs a token unless ``RAY_AUTH_MODE`` is set to something else.
    Ray's own HTTP server and its dashboard are not started.

    Parameters
    ----------
    address
        Of the cluster; by default that in ``RAY_ADDRESS``.

    Raises
    ------
    MissingPackage
        Ray is not installed.
    WrongUsage
        Ray was imported before.
    ServerError
        Ray did not start on this machine.
    """
    if "ray" in sys.modules and "RAY_AUTH_MODE" not in os.environ:  # Ray has read it, and would call without a token
        message = "Ray was imported before its calls were told to carry a token."
        raise WrongUsage(message, "Set RAY_AUTH_MODE=token in the environment, or import ray later.")
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = import_ray()
    place = address or os.environ.get("RAY_ADDRESS")
    options = {"namespace": "serve", "log_to_driver": False, "logging_level": "WARNING"}
    if place:
        ray.init(place, **options)
    else:
        _start(ray, options)
    serve = import_ray("ray.serve")
    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # of this process; that below is of the replicas
    serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})


def _start(ray: Any, options: dict[str, Any]) -> None:
    """Start Ray on this machine; again, where the machine is so busy that Ray gives up: its agents have 15 s."""
    for attempt in range(STARTS):
        try:
            ray.init("local", include_dashboard=False, **options)
            return
        except Exception as error:  # Ray raises just this
            ray.shutdown()
            _end_what_had_begun()
            if attempt == STARTS - 1:
                message = f"Ray did not start within {STARTS} attempts: {error}"
                hint = "Try again when the machine has less to do, or look into /tmp/ray."
                raise ServerError(message, hint) from error


def _end_what_had_begun() -> None:
    """End the processes of a Ray that did not start: they would stay as long as this one."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if any("/ray/" in word for word in process.cmdline()):
                process.kill()


def deploy_model(
    models: str | Path,
    name: str,
    replicas: Replicas | None = None,
    *,
    address: str | None = None,
    batching: Batching | None = None,
    limits: Limits | None = None,
) -> Registry:
    """Deploy each version of a model that answers, and return the registry of a server in front of them.

    This process stays connected to Ray until ``ray.shutdown()``, which also ends a Ray that was started here.

    Parameters
    ----------
    models
        The models folder, under the same path on every machine of the cluster.
    name
        The model: each of its versions that answers gets replicas of its own.
    replicas
        Of each version.
    address
        Of the Ray cluster; by default that in ``RAY_ADDRESS``, else one is started on this machine.
    batching
        Requests of a version that arrive together are handed to Ray together. One batch is computed at a time, so it
        pays with one replica, and not where several share the work.
    limits
        Those of the server, for the deadline of a request.

    Raises
    ------
    UnknownModel
        The folder has no such model.
    MissingPackage
        Ray is not installed.

    Examples
    --------
    >>> server = serve.start(deploy_model("models", "digits", Replicas(2, cpus=0.1)))  # doctest: +SKIP
    """
    store = _OneModel(models, name)
    store.get(name)  # a wrong name is better said before Ray starts
    connect(address)
    try:
        limits = limits or Limits()
        deploy = Deployments(store, replicas or Replicas(), limits).wrap
        join = batching.wrap(limits) if batching is not None else None
        registry = Registry(deploy if join is None else lambda predictor: join(deploy(predictor)))
        # In the thread of a notebook, which has an event loop, Ray refuses to wait.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(registry.load_store, store).result()
    except BaseException:
        import_ray().shutdown()
        raise
    return registry


def serve_model(
    models: str | Path,
    name: str,
    replicas: Replicas | None = None,
    *,
    address: str | None = None,
    batching: Batching | None = None,
    **settings: Any,
) -> None:
    """Serve a model with Ray until SIGTERM or Ctrl-C.

    Parameters
    ----------
    models, name, replicas, address, batching
        As for :func:`deploy_model`.
    settings
        The other options of ``mlops-lab serve``: ``host``, ``port``, ``grpc_port``, ``api_keys``, ``access_log``,
        ``limits``.
    """
    limits = Limits.of(settings.get("limits", {}))
    registry = deploy_model(models, name, replicas, address=address, batching=batching, limits=limits)
    try:
        say = partial(print, flush=True)
        run(Settings(registry, **settings), say, say)
    finally:
        import_ray().shutdown()
