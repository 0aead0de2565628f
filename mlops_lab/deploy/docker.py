"""A container image of one model, or of a student's own application, built and run by Docker."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import mlops_lab
from mlops_lab.deploy import application
from mlops_lab.deploy.commands import CommandFailed, run
from mlops_lab.deploy.kubernetes import image_parts
from mlops_lab.deploy.render import Files
from mlops_lab.deploy.spec import Spec
from mlops_lab.errors import StoreError, WrongUsage

REQUIREMENTS = Path(__file__).parent / "requirements"
LOCKS = {"onnx": "serve.txt", "keras": "keras.txt", "sklearn": "sklearn.txt"}
# Data sets and the files of other deployments are not needed to serve.
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.gz", "templates", "widgets")


def context(spec: Spec) -> dict[str, Any]:
    """Return what the templates fill in.

    Raises
    ------
    WrongUsage
        The engine cannot be put into a container.
    """
    if spec.engine not in LOCKS:
        raise WrongUsage(f"{spec.name} v{spec.version} needs the engine {spec.engine!r}.", "Publish it with its ONNX.")
    return {
        "spec": spec,
        "title": title(spec),
        "sources": [source.name for source in sources(spec)],
        "models": not spec.mount,
        "health": health(spec),
        "entry": json.dumps(entry(spec)),
        "requirements": (REQUIREMENTS / LOCKS[spec.engine]).read_text(encoding="utf-8").rstrip("\n"),
    }


def sources(spec: Spec) -> list[Path]:
    """Return the code that the image holds: ours, or an application and what it imports from beside it, or both."""
    lab = Path(mlops_lab.__file__).parent
    if not spec.app:
        return [lab]
    found = application.sources(spec.app)
    return [*found, lab] if "mlops_lab" in application.imported(found) else found


def title(spec: Spec) -> str:
    """Return what is deployed, in words."""
    return f"The application {spec.app.name}" if spec.app else f"{spec.name} v{spec.version}, served over HTTP"


def health(spec: Spec) -> str:
    """Return the path that answers when the container is ready."""
    return "/" if spec.app else "/readyz"


def memory(spec: Spec) -> str:
    """Return how much memory a container may take; TensorFlow needs more."""
    return "3g" if spec.engine == "keras" else "1g"


def entry(spec: Spec) -> list[str]:
    """Return what runs in the container; inside, the port is always 8000."""
    if spec.app:
        return ["python", "-m", "waitress", "--listen=0.0.0.0:8000", f"{spec.app.stem}:app"]
    return ["python", "-m", "mlops_lab", "serve", "--models", "/models", "--host", "0.0.0.0", "--port", "8000"]


def stage(spec: Spec, files: Files, folder: Path) -> None:
    """Write everything that the image is built from into a folder: the files, the code, and the model.

    Raises
    ------
    StoreError
        Something cannot be read or written.
    """
    files.write(folder, force=True)
    try:
        for source in sources(spec):
            _copy(source, folder / source.name)
        if not spec.mount:
            source, target = spec.models / spec.name, folder / "models" / spec.name
            _copy(source / str(spec.version), target / str(spec.version))
            aliases = {"production": spec.version}
            (target / "aliases.json").write_text(json.dumps(aliases) + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"The image's files cannot be put together: {error}.", "Look at that path.") from error
    for path in folder.rglob("*"):
        # Whoever the container runs as must be able to read what a strict umask wrote.
        path.chmod(0o755 if path.is_dir() else 0o644)


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copy(source, target)
    else:
        shutil.copytree(source, target, ignore=LEFT_OUT, dirs_exist_ok=True)


def build(spec: Spec, files: Files, folder: Path, *, network: str | None = None) -> None:
    """Build the image in a folder; ``network`` is Docker's, for machines whose builds need ``"host"``."""
    stage(spec, files, folder)
    run(["docker", "build", *(["--network", network] if network else []), "--tag", spec.image, str(folder)])


def start(spec: Spec, *, seconds: float = 60) -> str:
    """Run the image in the background, wait until it is ready, and return its address.

    Raises
    ------
    CommandFailed
        It ended, or was not ready in time; the message holds its last words.
    """
    name = container(spec)
    run(["docker", "run", "--detach", "--name", name, *options(spec), spec.image])
    url = f"http://127.0.0.1:{spec.port}"
    if answers(f"{url}{health(spec)}", seconds):
        return url
    words = run(["docker", "logs", "--tail", "20", name])
    raise CommandFailed(f"{name} was not ready within {seconds:g} s: {words}", f"docker logs {name}")


def push(image: str) -> str:
    """Push an image, and return its name with the digest: these very bytes, whatever is pushed under the tag later."""
    said = run(["docker", "push", image])
    digest = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
    return f"{image_parts(image)[0]}@{digest[1]}" if digest else image


def stop(spec: Spec) -> None:
    """End the container as an operator does, with SIGTERM and time to drain, and remove it."""
    run(["docker", "stop", "--time", "15", container(spec)])
    run(["docker", "rm", container(spec)])


def container(spec: Spec) -> str:
    """Return the container's name."""
    return f"mlops-lab-{spec.name}-{spec.port}"


def options(spec: Spec) -> list[str]:
    """Return how the container is run: nothing may be written, no privilege is left, and it comes back when it dies."""
    mount = ["--mount", f"type=bind,source={spec.models.resolve()},target=/models,readonly"] if spec.mount else []
    return [
        "--publish", f"127.0.0.1:{spec.port}:8000",
        "--read-only", "--tmpfs", "/tmp:size=64m,noexec",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true",
        "--pids-limit", "256", "--memory", memory(spec), "--cpus", "1",
        "--restart", "unless-stopped",
        *(["--init"] if spec.app else []),  # a plain Python program would not hear SIGTERM as the first process
        *mount,
    ]  # fmt: skip


def answers(url: str, seconds: float) -> bool:
    """Return whether an address answers, and not with an error of the server, within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if _answers(url):
            return True
        time.sleep(0.05)
    return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status < 500)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
