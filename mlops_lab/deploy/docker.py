"""A container image of one model, or of an application of one's own, built and run by Docker."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlops_lab
from mlops_lab.deploy import application, packages
from mlops_lab.deploy.commands import CommandFailed, run
from mlops_lab.deploy.kubernetes import image_parts
from mlops_lab.engines import RUNS_CODE
from mlops_lab.engines.python import REQUIREMENTS as CODE_REQUIREMENTS
from mlops_lab.errors import StoreError, WrongUsage
from mlops_lab.store import ModelStore
from mlops_lab.store.version import ModelVersion, require_trust

if TYPE_CHECKING:
    from mlops_lab.deploy.render import Files
    from mlops_lab.deploy.spec import Spec

REQUIREMENTS = Path(__file__).parent / "requirements"
LOCKS = {"onnx": "serve.txt", "keras": "keras.txt", "sklearn": "sklearn.txt", "python": "serve.txt"}
APP_LOCK = "app.txt"
WSGI_SERVER = Path(__file__).parent / "wsgi_server.py"
# Data sets and the templates of other deployments are not needed to serve.
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.gz", "templates", "widgets")
# Requests to the server in the same container must not go through a proxy that the environment names.
ASK_HTTP = (
    "import os, urllib.request as r; r.build_opener(r.ProxyHandler({{}}))"
    ".open('http://127.0.0.1:' + os.environ['PORT'] + '{path}', timeout=2)"
)
ASK_TCP = "import os, socket; socket.create_connection(('127.0.0.1', int(os.environ['PORT'])), 2)"

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""An opener that uses no proxy, for addresses on this machine."""


def context(spec: Spec) -> dict[str, Any]:
    """Return the values of the templates.

    Raises
    ------
    WrongUsage
        The engine cannot run in a container, or a package of the application is unknown.
    UnsafeFile
        The version is code, and its digest is not trusted.
    """
    if spec.engine not in LOCKS:
        hint = "Publish the version with its ONNX export."
        raise WrongUsage(f"{spec.name} v{spec.version} needs the engine {spec.engine!r}, which no image has.", hint)
    base = _lock(spec)
    more, resolved = added_packages(spec, base)
    return {
        "spec": spec,
        "title": title(spec),
        "copies": [[source, f"/app/{source}"] for source in copied(spec)],
        "models": not spec.mount,
        "health": json.dumps(health_command(spec)),
        "entry": json.dumps(entry(spec)),
        "requirements": base,
        "packages": more,
        "with_dependencies": resolved,
        "trusted": _code(spec).digest if _is_code(spec) else "",
    }


def _lock(spec: Spec) -> str:
    """Return the packages of the engine, and for an application of one's own those of its server."""
    names = [LOCKS[spec.engine], *([APP_LOCK] if spec.app else [])]
    return "\n".join((REQUIREMENTS / name).read_text(encoding="utf-8").rstrip("\n") for name in names)


def added_packages(spec: Spec, base: str) -> tuple[str, bool]:
    """Return the packages beside the lock, of an application or of a model's code, and whether pip finds the rest."""
    if _is_code(spec):
        return packages.lock_requirements(_code(spec).read()[CODE_REQUIREMENTS].decode(), base)
    if not spec.app:
        return "", False
    own = packages.own_requirements(spec.app)
    return (own, True) if own is not None else (_imported_packages(spec.app, base), False)


def _is_code(spec: Spec) -> bool:
    return spec.app is None and spec.engine in RUNS_CODE


def _code(spec: Spec) -> ModelVersion:
    """Return a version that is code, which the image runs, once its digest is trusted."""
    found = ModelStore(spec.models).get(spec.name, spec.version)
    require_trust(found, spec.trusted)
    return found


def _imported_packages(app: Path, base: str) -> str:
    """Return the pinned packages that an application imports and the lock does not hold."""
    found = application.sources(app)
    engine_modules = {module for modules in application.ENGINES.values() for module in modules}
    own = {source.stem for source in found} | engine_modules | {"mlops_lab"}
    return packages.lock(application.imported(found) - own, base)


def sources(spec: Spec) -> list[Path]:
    """Return the code of the image: our package, or an application with the modules beside it, or both."""
    lab = Path(mlops_lab.__file__).parent
    if not spec.app:
        return [lab]
    found = application.sources(spec.app)
    return [*found, lab] if "mlops_lab" in application.imported(found) else found


def copied(spec: Spec) -> list[str]:
    """Return the paths in the build folder that are copied to ``/app``: the code, and an application's data files."""
    data = application.data_files(spec.app, spec.models) if spec.app else []
    # Files below models/ come with that folder, which is copied or mounted as a whole.
    return [*(source.name for source in sources(spec)), *(name for name in data if name.split("/")[0] != "models")]


def title(spec: Spec) -> str:
    """Return a description of the image in one line."""
    return f"The application {spec.app.name}" if spec.app else f"{spec.name} v{spec.version}, served over HTTP"


def health(spec: Spec) -> str | None:
    """Return the path of the health endpoint; ``None`` for an application that has no GET route."""
    return application.health_path(spec.app) if spec.app else "/readyz"


def health_command(spec: Spec) -> list[str]:
    """Return the command of the image's health check: a request, or a connection where there is no endpoint."""
    path = health(spec)
    return ["python", "-c", ASK_TCP if path is None else ASK_HTTP.format(path=path)]


def memory(spec: Spec) -> str:
    """Return the memory limit of a container; TensorFlow needs more."""
    return "3g" if spec.engine == "keras" else "1g"


def entry(spec: Spec) -> list[str]:
    """Return the command of the container. The port comes from the variable ``PORT``, which the image sets to 8000."""
    if spec.app:
        return ["python", f"/opt/lab/{WSGI_SERVER.name}", spec.app.stem]
    return ["python", "-m", "mlops_lab", "serve", "--models", "/models", "--host", "0.0.0.0"]


def stage(spec: Spec, files: Files, folder: Path) -> None:
    """Write the build folder of the image: the rendered files, the code, the data files and the model.

    Raises
    ------
    StoreError
        Something cannot be read or written.
    """
    files.write(folder, force=True)
    try:
        for source in sources(spec):
            _copy(source, folder / source.name)
        if spec.app:
            _copy(WSGI_SERVER, folder / WSGI_SERVER.name)
            for name in application.data_files(spec.app, spec.models):
                _copy(spec.app.parent / name, folder / name)
        if not spec.mount:
            source, target = spec.models / spec.name, folder / "models" / spec.name
            _copy(source / str(spec.version), target / str(spec.version))
            aliases = {"production": spec.version}
            (target / "aliases.json").write_text(json.dumps(aliases) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"The build folder cannot be written: {error}.", "Check that path.") from error
    for path in folder.rglob("*"):
        # The container runs as another user, who must be able to read files that a strict umask wrote.
        path.chmod(0o755 if path.is_dir() else 0o644)


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target, ignore=LEFT_OUT, dirs_exist_ok=True)


def build(spec: Spec, files: Files, folder: Path, *, network: str | None = None) -> None:
    """Write the build folder and build the image; ``network`` is Docker's, for builds that need ``"host"``."""
    stage(spec, files, folder)
    run(["docker", "build", *(["--network", network] if network else []), "--tag", spec.image, str(folder)])


def start(spec: Spec, *, seconds: float = 60) -> str:
    """Run the image in the background, wait until it is ready, and return its address.

    Raises
    ------
    CommandFailed
        The container ended, or was not ready in time; the message holds its last log lines.
    """
    name = container(spec)
    run(["docker", "run", "--detach", "--name", name, *options(spec), spec.image])
    url = f"http://127.0.0.1:{spec.port}"
    if answers(f"{url}{health(spec) or '/'}", seconds):
        return url
    log = run(["docker", "logs", "--tail", "20", name])
    raise CommandFailed(f"{name} was not ready within {seconds:g} s: {log}", f"docker logs {name}")


def push(image: str) -> str:
    """Push an image, and return its name with the digest, which identifies this image even if the tag moves."""
    output = run(["docker", "push", image])
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", output)
    return f"{image_parts(image)[0]}@{digest[1]}" if digest else image


def stop(spec: Spec) -> None:
    """Stop the container with SIGTERM and time to drain, and remove it."""
    run(["docker", "stop", "--time", "15", container(spec)])
    run(["docker", "rm", container(spec)])


def container(spec: Spec) -> str:
    """Return the name of the container."""
    return f"mlops-lab-{spec.name}-{spec.port}"


def options(spec: Spec) -> list[str]:
    """Return the options of ``docker run``: read-only, without privileges, with limits, and restarted on failure."""
    mount = ["--mount", f"type=bind,source={spec.models.resolve()},target=/models,readonly"] if spec.mount else []
    return [
        "--publish", f"127.0.0.1:{spec.port}:8000",
        "--read-only", "--tmpfs", "/tmp:size=64m,noexec",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true",
        "--pids-limit", "256", "--memory", memory(spec), "--cpus", "1",
        "--restart", "unless-stopped",
        *mount,
    ]  # fmt: skip


def answers(url: str, seconds: float) -> bool:
    """Return whether an address answers with a status code below 500 within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if _answers(url):
            return True
        time.sleep(0.05)
    return False


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=2) as answer:
            return bool(answer.status < 500)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
