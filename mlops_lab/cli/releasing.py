"""The commands ``mlops-lab validate``, ``load-test`` and ``pipeline``."""

from __future__ import annotations

import json
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import click

from mlops_lab.cli.options import api_key, as_json, echo, in_models, network, to_change
from mlops_lab.errors import WrongUsage

NAME = click.argument("name")
VERSION = click.option(
    "--version", default="latest", show_default=True, help="Version: a number, v3, an alias, or latest."
)
CLIENTS = click.option("--clients", default=4, show_default=True, help="Number of concurrent clients.")
OPEN = click.option("--rate", default=0.0, help="Requests per second of an open-loop load; 0 for a closed loop.")
SECONDS = click.option("--seconds", default=5.0, show_default=True, help="Duration of the load test in seconds.")
P99 = click.option("--p99", default=500.0, show_default=True, help="Maximum p99 latency in milliseconds.")
RATE = click.option("--per-second", default=10.0, show_default=True, help="Minimum throughput in requests per second.")
BUDGET = click.option(
    "--budget", default=100.0, show_default=True, help="Maximum p95 latency of single requests in milliseconds."
)
LEAST = click.option("--accuracy", default=0.0, show_default=True, help="Minimum accuracy over HTTP, from 0 to 1.")


def _print_result(good: bool, values: Any, text: str, as_json: bool) -> None:
    echo(json.dumps(values, ensure_ascii=False) if as_json else text)
    if not good:
        sys.exit(1)


@click.command()
@click.argument("target", metavar="NAME|URL")
@click.option("--name", default="clothes", show_default=True, help="Name of the model of the server at a URL.")
@VERSION
@in_models
@click.option("--gates", type=click.Path(dir_okay=False), help="Thresholds, a TOML file; else the model's own.")
@click.option("--data", type=click.Path(dir_okay=False), help="An .npz file with images, labels and perhaps groups.")
@click.option("--server/--no-server", default=None, help="Serve the version here and check it over HTTP.")
@BUDGET
@LEAST
@api_key
@as_json
def validate(
    target: str, name: str, version: str, folder: str, gates: str | None, data: str | None, server: bool | None,
    budget: float, accuracy: float, api_key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Decide whether a model NAME may be promoted, or check the server at a URL. Exit 1 if it falls short.

    A version is held against the thresholds of gates.toml: data, quality, groups, behaviour, robustness and a server of
    its own. The evidence and the model card are kept beside it. At a URL (with ://), the contract and the acceptance
    tests run against our server, TensorFlow Serving or your own.
    """
    if "://" in target:
        return _validate_server(target, name, version, folder, budget, accuracy, api_key, as_json)
    from mlops_lab import store
    from mlops_lab import validate as stage

    models = store.ModelStore(to_change(folder))
    published = models.get(target, version)
    number = models.aliases(target).get("production")
    baseline = None if number is None else models.get(target, number)
    found = stage.assess(published, gates=gates, data=data, baseline=baseline, server=server)
    kept = stage.keep(published, found)
    values = {**found.to_dict(), "evidence": str(kept), "card": str(published.path / "README.md")}
    _print_result(found.passed, values, f"{found}\n\nevidence: {kept}\ncard: {published.path / 'README.md'}", as_json)


def _validate_server(
    url: str, name: str, version: str, folder: str, budget: float, accuracy: float, api_key: str | None, as_json: bool
) -> None:
    from mlops_lab import store
    from mlops_lab import validate as stage

    published = store.ModelStore(folder).get(name, version)
    contract = stage.check_contract(url, published, api_key=api_key)
    expected = stage.Expected(accuracy=accuracy, milliseconds=budget)
    acceptance = stage.check_acceptance(url, published, expected, api_key=api_key)
    values = {"contract": contract.to_dict(), "acceptance": acceptance.to_dict()}
    _print_result(contract.passed and acceptance.passed, values, f"{contract}\n\n{acceptance}", as_json)


@click.command("load-test")
@click.argument("url")
@click.option("--name", default="clothes", show_default=True, help="Name of the model.")
@VERSION
@in_models
@CLIENTS
@OPEN
@click.option("--shape", default="steady", show_default=True, help="Of an open load: steady, ramp, spike, steps, soak.")
@click.option("--saturation", is_flag=True, help="Find the highest rate with p99 below --p99.")
@SECONDS
@P99
@RATE
@api_key
@as_json
def measure(
    url: str, name: str, version: str, folder: str, clients: int, rate: float, shape: str, saturation: bool,
    seconds: float, p99: float, per_second: float, api_key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Load-test the server at URL, on a schedule or with concurrent clients. Exit 1 if a limit is exceeded."""
    from mlops_lab import store
    from mlops_lab.validate import LoadTestConfig, find_saturation, measure_load
    from mlops_lab.validate.target import ServerUnderTest

    target = ServerUnderTest(url, store.ModelStore(folder).get(name, version), version, api_key=api_key)
    plan = LoadTestConfig(clients, seconds, milliseconds=p99, per_second=per_second, rate=rate, shape=shape)
    if saturation:
        found = find_saturation(target.client, name, target.address, target.images, limit=p99, plan=plan)
        return _print_result(found.rate > 0, found.to_dict(), str(found), as_json)
    result = measure_load(target.client, name, target.address, target.images, plan)
    _print_result(result.passed, result.to_dict(), str(result), as_json)


@click.group()
def pipeline() -> None:
    """Release a version to production: build, stage, test, promote, verify, and roll back on failure."""


@pipeline.command("run")
@click.argument("name", metavar="NAME|FILE")
@VERSION
@in_models
@click.option(
    "--environment",
    type=click.Choice(["local", "docker", "compose"]),
    default="local",
    show_default=True,
    help="Target: local processes, one container behind nginx, or several containers.",
)
@click.option("--url", default="", help="local: URL of the production server; by default one is started.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="docker, compose: port of nginx."
)
@click.option(
    "--replicas", default=2, show_default=True, type=click.IntRange(1), help="compose: number of servers behind nginx."
)
@click.option(
    "--folder", "deployed", default="", help="docker, compose: folder of the deployment; by default deployed/NAME."
)
@network
@CLIENTS
@OPEN
@SECONDS
@P99
@RATE
@BUDGET
@LEAST
@api_key
@click.option("--why", default="", help="Reason, for the history.")
@click.option("--data", default="", help="Test data, an .npz file with x and y: measured by the metric of the task.")
@click.option("--new-signature", is_flag=True, help="Allow other inputs or outputs than production has.")
@click.option("--until", default="", help="FILE: stop after this step.")
@as_json
@click.pass_context
def run_pipeline(
    context: click.Context, name: str, version: str, folder: str, environment: str, url: str, port: int, replicas: int,
    deployed: str, network: str | None, clients: int, rate: float, seconds: float, p99: float, per_second: float,
    budget: float, accuracy: float, api_key: str | None, why: str, data: str, new_signature: bool, until: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Release a version. Exit 1 if it was rejected or rolled back; production is then unchanged.

    A FILE that ends in .toml runs the whole life cycle: data, train, validate, release, monitor, and, where it hurts,
    retrain on old and new data, canary, promote or roll back. Steps whose inputs are as before are not run again.
    """
    # A program that is terminated, such as a cancelled CI job, restores production first.
    signal.signal(signal.SIGTERM, _interrupted)
    if name.endswith(".toml"):
        from mlops_lab.cli.looping import only_a_file, run_file

        only_a_file(context, name, ("name", "until", "as_json"))
        return run_file(name, until, as_json)
    from rich.console import Console

    from mlops_lab.pipeline import ReleasePlan, release
    from mlops_lab.pipeline.reporter import ConsoleReporter
    from mlops_lab.validate import Expected, LoadTestConfig

    plan = ReleasePlan(
        to_change(folder), name, version, environment, url.rstrip("/"), api_key, port, replicas, deployed, network,
        why=why, expected=Expected(accuracy=accuracy, milliseconds=budget),
        load=LoadTestConfig(clients, seconds, milliseconds=p99, per_second=per_second, rate=rate),
        data=data, new_signature=new_signature,
    )  # fmt: skip
    if until:
        raise WrongUsage("--until is for a file of settings.", "mlops-lab pipeline run pipeline.toml --until train")
    done = release(plan, ConsoleReporter(Console(stderr=as_json)))
    _print_result(done.passed, done.to_dict(), done.summary, as_json)


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@pipeline.command()
@click.argument("name", metavar="NAME|FILE")
@in_models
@click.option("--html", type=click.Path(dir_okay=False), help="FILE: write the history as a page, too.")
@as_json
@click.pass_context
def status(context: click.Context, name: str, folder: str, html: str | None, as_json: bool) -> None:
    """List the releases of a model, the last one in detail, or the runs of a FILE. Exit 1 if the last one failed."""
    if name.endswith(".toml"):
        from mlops_lab.cli.looping import only_a_file, show_file

        only_a_file(context, name, ("name", "html", "as_json"))
        return show_file(name, html, as_json)
    if html:
        raise WrongUsage("--html is for a file of settings.", "mlops-lab pipeline status pipeline.toml --html FILE")
    from mlops_lab.pipeline import journal
    from mlops_lab.store import ModelStore

    store = ModelStore(folder)
    found = journal.releases(store, name)
    running = journal.is_running(store, name)
    values = {"under_way": running, "releases": [one.to_dict() for one in found]}
    if not found:
        return _print_result(True, values, f"{name} has no releases.", as_json)
    lines = [f"{one.started} by {one.by}: {one.summary}" for one in found[:-1]]
    if found[-1].state == "running" and not running:
        lines.append("The last release was interrupted: check production, and run the release again or roll back.")
    _print_result(found[-1].passed or running, values, "\n".join([*lines, str(found[-1])]), as_json)
