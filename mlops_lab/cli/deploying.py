"""The commands ``mlops-lab deploy docker | compose | kubernetes | tfserving | ray | github``."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlops_lab.cli.options import Command, as_json, echo, in_models, network, trusts
from mlops_lab.errors import WrongUsage

if TYPE_CHECKING:
    from mlops_lab.deploy import Files, Spec

NAME = click.argument("name")
VERSION = click.option("--version", help="Version: a number, v3, or latest.")
ALIAS = click.option("--alias", help="Deploy the version of this alias.")
IMAGE = click.option("--image", help="Name of the container image; by default mlops-lab/NAME:VERSION.")
PORT = click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Host port.")
OUT = click.option("--out", type=click.Path(), help="Write the files into this folder instead of running anything.")
APP = click.option("--app", type=click.Path(exists=True), help="Deploy your own api.py, which defines 'app'.")


def of_a_version(command: Command) -> Command:
    """Add the argument and the options that select a version of a model."""
    for option in (in_models, ALIAS, VERSION, NAME):
        command = option(command)
    return command


@click.group()
def deploy() -> None:
    """Generate deployment files for a model, and run them."""


def _plan(folder: str, name: str, version: str | None, alias: str | None, **settings: Any) -> Spec:
    if version and alias:
        raise WrongUsage(f"--version {version} and --alias {alias} are both given.", "Give one of them.")
    from mlops_lab.deploy import make_spec

    return make_spec(folder, name, version or alias or "latest", **settings)


def _show(files: Files, as_json: bool, *, folder: str | None = None, **more: Any) -> None:
    """Print the files, or their paths if they were written into a folder."""
    if as_json:
        return echo(json.dumps({"files": files.to_dict(), "folder": folder, **more}))
    echo("\n".join(f"wrote {Path(folder) / path}" for path in files) if folder else str(files))


@deploy.command()
@of_a_version
@IMAGE
@PORT
@OUT
@as_json
@APP
@trusts
@click.option("--mount", is_flag=True, help="Mount the models folder instead of copying the model into the image.")
@click.option("--build", is_flag=True, help="Build the image.")
@click.option("--run", "start", is_flag=True, help="Build the image, and run it in the background.")
@click.option("--push", metavar="NAME", help="Build the image, and push it under this name.")
@network
def docker(
    name: str, version: str | None, alias: str | None, folder: str, image: str | None, port: int, out: str | None,
    as_json: bool, app: str | None, trusted: tuple[str, ...], mount: bool, build: bool, start: bool, push: str | None,
    network: str | None,
) -> None:  # fmt: skip
    """Generate a container image of a model, or of your own api.py."""
    from mlops_lab.deploy import docker as engine
    from mlops_lab.deploy import render

    settings: dict[str, Any] = {"port": port, "app": app, "mount": mount, "trusted": trusted}
    spec = _plan(folder, name, version, alias, image=push or image, **settings)
    files = render.files(spec, "docker")
    if out:
        engine.stage(spec, files, Path(out))
    done: dict[str, Any] = {"image": spec.image, "folder": out}
    if not as_json:
        _show(files, as_json, folder=out)
    if not out and (build or start or push):
        with tempfile.TemporaryDirectory() as made:
            engine.build(spec, files, Path(made), network=network)
        if push:
            done["pushed"] = engine.push(push)
            if not as_json:
                echo(f"pushed {done['pushed']}")
        if start:
            done["url"] = engine.start(spec)
            if not as_json:
                echo(f"running {spec.image} at {done['url']}; stop it with: docker rm -f {engine.container(spec)}")
    if as_json:
        _show(files, as_json, **done)


@deploy.command()
@of_a_version
@IMAGE
@PORT
@click.option("--out", type=click.Path(), help="Folder of the deployment; without --up, the files are only written.")
@as_json
@APP
@trusts
@click.option("--mount", is_flag=True, help="Mount the models folder instead of copying the model into the image.")
@click.option("--replicas", default=2, show_default=True, type=click.IntRange(1), help="Number of servers.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Choice(["prometheus", "tfserving"]),
    help="Also start this service.",
)
@click.option("--up", is_flag=True, help="Build, start, wait until ready, and run the smoke test; requires --out.")
@click.option("--down", is_flag=True, help="Stop what --up started from --out.")
@click.option("--check", is_flag=True, help="Build, start, run the smoke test, and stop; only the image is left.")
@network
def compose(
    name: str, version: str | None, alias: str | None, folder: str, image: str | None, port: int, out: str | None,
    as_json: bool, app: str | None, trusted: tuple[str, ...], mount: bool, replicas: int, profiles: tuple[str, ...],
    up: bool, down: bool, check: bool, network: str | None,
) -> None:  # fmt: skip
    """Generate a deployment of several servers behind nginx, and run it with Docker Compose."""
    from mlops_lab.deploy import compose as engine
    from mlops_lab.deploy import render, smoke

    if up + down + check > 1:
        raise WrongUsage("--up, --down and --check exclude each other.", "Give one of them.")
    if (up or down) and not out:
        raise WrongUsage("--up and --down require a folder.", "Add --out deployment.")
    if down:
        engine.down(Path(str(out)))
        return echo(json.dumps({"folder": out, "running": False}) if as_json else f"stopped {out}")
    settings: dict[str, Any] = {"port": port, "app": app, "mount": mount, "trusted": trusted, "replicas": replicas}
    spec = _plan(folder, name, version, alias, image=image, **settings)
    files = render.files(spec, "compose")
    if "tfserving" in profiles:
        _before_tfserving(spec, write=up or check)
    written = None if check else out
    if not (as_json or written):
        _show(files, as_json)
    url = asked = None
    if check:
        asked = engine.check(spec, files, profiles=profiles, network=network)
    elif up:
        url = engine.up(spec, files, Path(str(out)), profiles=profiles, network=network)
        asked = smoke.run(spec, url)
    elif out:
        engine.stage(spec, files, Path(out))
    if as_json:
        return _show(files, as_json, folder=out, image=spec.image, url=url, smoke=asked and asked.to_dict())
    if written:
        _show(files, as_json, folder=written)
    if asked:
        echo(str(asked))
    if url:
        echo(f"running at {url}; stop it with: mlops-lab deploy compose {name} --out {out} --down")


@deploy.command()
@of_a_version
@IMAGE
@PORT
@OUT
@as_json
@APP
@click.option(
    "--mount",
    is_flag=True,
    help="Mount the models from a volume of the cluster instead of copying them into the image.",
)
@click.option("--replicas", default=2, show_default=True, type=click.IntRange(2), help="Number of pods.")
@click.option("--require-api-key", "api_key", is_flag=True, help="Accept only requests with the key of a Secret.")
@click.option("--check", is_flag=True, help="Lint the files in --out, or the generated ones; exit 1 on an error.")
def kubernetes(
    name: str, version: str | None, alias: str | None, folder: str, image: str | None, port: int, out: str | None,
    as_json: bool, app: str | None, mount: bool, replicas: int, api_key: bool, check: bool,
) -> None:  # fmt: skip
    """Generate a kustomize folder: a base, and overlays for dev, prod and a canary."""
    from mlops_lab.deploy import lint, render

    if check and out and Path(out).is_dir():
        report = lint.check(lint.texts(out))
    else:
        settings = {"image": image, "port": port, "app": app, "mount": mount, "replicas": replicas, "api_key": api_key}
        spec = _plan(folder, name, version, alias, **settings)
        files = render.files(spec, "kubernetes")
        if out:
            files.write(out)
        if not check:
            return _show(files, as_json, folder=out)
        report = lint.check(files)
    echo(json.dumps(report.to_dict()) if as_json else str(report))
    if not report.passed:
        sys.exit(1)


@deploy.command()
@of_a_version
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="Host port.")
@OUT
@as_json
@click.option("--run", "start", is_flag=True, help="Run TensorFlow Serving with Docker Compose; requires --out.")
@click.option(
    "--lint",
    "look",
    is_flag=True,
    help="Lint the models folder for causes of 'No versions of servable'; exit 1 if any.",
)
def tfserving(
    name: str, version: str | None, alias: str | None, folder: str, port: int, out: str | None, as_json: bool,
    start: bool, look: bool,
) -> None:  # fmt: skip
    """Generate the files for TensorFlow Serving, which serves the model's folder unchanged."""
    from mlops_lab.deploy import compose as engine
    from mlops_lab.deploy import layout, render

    if look:
        config = Path(out or ".") / "models.config"
        text = config.read_text(encoding="utf-8") if config.is_file() else ""
        report = layout.examine(Path(folder) / name, config=text, name=name)
        echo(json.dumps(report.to_dict()) if as_json else str(report))
        if not report.passed:
            sys.exit(1)
        return
    if start and not out:
        raise WrongUsage("--run requires a folder.", "Add --out tfserving.")
    spec = _plan(folder, name, version, alias, port=port)
    files = render.files(spec, "tfserving")
    _before_tfserving(spec, write=out is not None)
    if out:
        files.write(out)
    _show(files, as_json, folder=out)
    if start:
        # Only Compose v2 can wait until the model is ready.
        wait = "--wait" if engine.program() == ("docker", "compose") else "--detach"
        engine.call(Path(str(out)), "up", wait)


def _before_tfserving(spec: Spec, *, write: bool) -> None:
    """Print a note on this machine before an image is pulled, and write the warm-up requests."""
    from mlops_lab.deploy import tfserving as serving
    from mlops_lab.deploy import warmup
    from mlops_lab.store import ModelStore

    note = serving.machine_note()
    if note:
        echo(note, err=True)
    if write:
        warmup.write_warmup(ModelStore(spec.models).get(spec.name, spec.version))


@deploy.command()
@NAME
@in_models
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port of the server.")
@OUT
@as_json
@click.option("--replicas", default=2, show_default=True, type=click.IntRange(1), help="Replicas of each version.")
@click.option(
    "--max-replicas", "most", type=click.IntRange(1), help="Start more replicas under load, up to this number."
)
@click.option("--cpus", default=1.0, show_default=True, type=click.FloatRange(0), help="CPUs reserved for a replica.")
@click.option("--gpus", default=0.0, show_default=True, type=click.FloatRange(0), help="GPUs, or the share of one.")
@click.option("--run", "start", is_flag=True, help="Serve: on the cluster of RAY_ADDRESS, or with Ray on this machine.")
def ray(name: str, folder: str, out: str | None, as_json: bool, start: bool, **settings: Any) -> None:
    """Generate the files that serve all versions of a model with Ray, and run them."""
    from mlops_lab.deploy import render

    spec = _plan(folder, name, None, None, **settings)
    files = render.files(spec, "ray")
    if out:
        files.write(out)
    _show(files, as_json, folder=out)
    if start:
        from mlops_lab.deploy.ray_front import Replicas, serve_model

        serve_model(folder, name, Replicas(spec.replicas, spec.most, spec.cpus, spec.gpus), port=spec.port)


@deploy.command()
@NAME
@in_models
@OUT
@as_json
def github(name: str, folder: str, out: str | None, as_json: bool) -> None:
    """Generate a GitHub Actions workflow that releases the model with `mlops-lab pipeline run`."""
    from mlops_lab.deploy import render

    files = render.files(_plan(folder, name, None, None), "github")
    if out:
        files.write(out)
    _show(files, as_json, folder=out)
