"""deploy-1: a Dockerfile, read by rules; with a Docker engine it is built, started, asked and stopped as well."""

from __future__ import annotations

import re

from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.containers import START_SECONDS, STOP_SECONDS
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.live import Server
from mlops_lab.grade.rubric import built
from mlops_lab.grade.rubric.dockerfile import Instruction, Stage, asks_nothing, pinned, read

exercise = Exercise("deploy-1", "A Dockerfile", kind="file", names=("Dockerfile",), section="Notebook 6, section 1",
                    hints={"no-from": Hint("There is no FROM.", "Every image begins with another.")})  # fmt: skip
INSTALLS = re.compile(r"\b(pip3?|uv|poetry|conda|mamba|micromamba)\b.*\b(install|sync)\b")
DOWNLOADS = re.compile(r"\b(curl|wget|git clone|pip3? install|uv (pip|sync|run)|apt-get|huggingface)\b")
PIPED = re.compile(r"\b(curl|wget)\b[^|]*\|\s*(sudo\s+)?\w*sh\b")
DEVELOPMENT = re.compile(r"flask( --\S+( \S+)?)* run|fastapi dev|--reload|--debug")
EVERYWHERE = re.compile(r"0\.0\.0\.0|\[::\]|(?<![\w.])\*:")
BINDS_EVERYWHERE = re.compile(r"\b(waitress-serve|fastapi run)\b")
KILLED = 137  # the exit status after SIGKILL
LOOPBACK = re.compile(r"127\.0\.0\.1|localhost")


def _stages(answer: Answer, case: Case) -> list[Stage]:
    stages = read(answer.text())
    case.expect(stages, "There is no FROM: this is no Dockerfile.", hint="no-from")
    return stages


@exercise.check("base", "The base is one of a version", points=1, hints={
    "latest": Hint("`FROM {base}`: next month this builds something else.", "Which version did you test?"),
})  # fmt: skip
def base(answer: Answer, case: Case) -> None:
    stages = _stages(answer, case)
    names = {stage.name for stage in stages} | {"scratch"}
    loose = [stage.base for stage in stages if stage.base.lower() not in names and not pinned(stage.base)]
    case.expect(not loose, f"{(loose or [''])[0]} is not one version.", hint="latest", base=(loose or [""])[0],
                expected="a version or a digest", received=", ".join(loose))  # fmt: skip


def _sources(one: Instruction) -> list[str]:
    return one.words[:-1] if one.word in ("COPY", "ADD") and "--from" not in one.text else []


def _is_code(source: str) -> bool:
    """Whether a source of COPY holds the code: everything, or a Python file."""
    plain = source.rstrip("/").removeprefix("./")
    return plain in (".", "", "*") or (plain.endswith(".py") and not plain.startswith("setup"))


@exercise.check("layers", "What changes seldom is installed first", points=1, hints={
    "copy-first": Hint("`COPY {source}` stands before the install.",
                       "Change one letter of api.py and all is installed anew. Copy the list of packages first."),
    "no-install": Hint("Nothing is installed.", "The base has Python, and none of the packages that api.py imports."),
})  # fmt: skip
def layers(answer: Answer, case: Case) -> None:
    installed = False
    for stage in _stages(answer, case):
        code = ""
        for one in stage.instructions:
            code = code or next((source for source in _sources(one) if _is_code(source)), "")
            if one.word == "RUN" and INSTALLS.search(one.text):
                installed = True
                case.expect(not code, "The code is copied before packages are installed.", hint="copy-first",
                            source=code, expected="requirements, install, code",
                            received=f"{code}, install")  # fmt: skip
    case.expect(installed, "Nothing is installed.", hint="no-install")


@exercise.check("user", "It does not run as root", points=1, hints={
    "root": Hint("The server runs as {user}.", "Whoever breaks it is root inside, one fault away from the host."),
})  # fmt: skip
def user(answer: Answer, case: Case) -> None:
    last = _stages(answer, case)[-1].last("USER")
    name = last.text.split(":")[0].strip() if last else "root"
    case.expect(name not in ("root", "0", ""), "The last USER is root, or there is none.", hint="root", user=name,
                expected="another user than root", received=f"USER {name}" if last else "no USER")  # fmt: skip


def _start(stage: Stage) -> list[Instruction]:
    return [one for one in (stage.last("ENTRYPOINT"), stage.last("CMD")) if one is not None]


def _command(answer: Answer, stage: Stage) -> str:
    """Return what the container starts, with the text of a script or program of the folder that it names."""
    text = " ".join(" ".join(one.words) for one in _start(stage))
    named = [word.rpartition("/")[2] for word in text.split() if word.endswith((".sh", ".py"))]
    return "\n".join([text, *(answer.text(name) for name in named)])


@exercise.check("start", "A real server starts, hears from outside, and hears SIGTERM", points=3, hints={
    "no-start": Hint("Nothing is started.", "CMD or ENTRYPOINT says what the container runs."),
    "shell-form": Hint("`{received}` is the shell form.", "The shell in front swallows SIGTERM: the container is "
                       "killed after ten seconds, with every request in it."),
    "development": Hint("`{found}` is the development server.", "One request at a time, and a debugger for everybody."),
    "loopback": Hint("The server listens on 127.0.0.1, and nobody reaches it.",
                     "A container's loopback is its own: inside, listen on 0.0.0.0."),
})  # fmt: skip
def start(answer: Answer, case: Case) -> None:
    stage = _stages(answer, case)[-1]
    started = _start(stage)
    case.expect(started, "There is neither CMD nor ENTRYPOINT.", hint="no-start")
    command = _command(answer, stage)
    settings = " ".join(one.text for one in stage.instructions if one.word == "ENV")
    development = DEVELOPMENT.search(command) or re.search(r"\bapp\.run\(", command)
    loopback = not EVERYWHERE.search(f"{command} {settings}") and not (
        BINDS_EVERYWHERE.search(command) and not LOOPBACK.search(command)
    )
    shell = next((one for one in started if one.exec_form is None and not one.text.startswith("exec ")), None)
    wrong = [name for name, met in (("loopback", loopback), ("development", development), ("shell-form", shell)) if met]
    if wrong:
        case.fail("The start of the container: " + ", ".join(wrong) + ".", hint=wrong[0],
                  found=development[0] if development else "", share=1 - len(wrong) / 3,
                  expected="a server for production, on all addresses, started without a shell",
                  received=" ".join(f"{one.word} {one.text}" for one in started))  # fmt: skip


@exercise.check("health", "Its port is named, and its health can be asked", points=1, hints={
    "no-port": Hint("There is no EXPOSE.", "Whoever runs the image looks there for its port."),
    "no-health": Hint("There is no HEALTHCHECK.", "A process that runs is not yet one that answers."),
    "always-well": Hint("`{found}` says of every server that it is well.", "Ask the server, and pass on its status."),
})  # fmt: skip
def health(answer: Answer, case: Case) -> None:
    stage = _stages(answer, case)[-1]
    case.expect(stage.last("EXPOSE"), "No port is named.", hint="no-port", share=0.5 * bool(stage.last("HEALTHCHECK")))
    check = stage.last("HEALTHCHECK")
    asked = check is not None and check.text.strip().upper() != "NONE"
    case.expect(asked, "Nothing asks for its health.", hint="no-health", share=0.5)
    words = re.split(r"\bCMD\b", check.text, maxsplit=1)[-1].strip() if check is not None else ""
    case.expect(not asks_nothing(Instruction("CMD", words).words), "Its health check asks nobody.", hint="always-well",
                share=0.5, found=words, received=words)  # fmt: skip


@exercise.check("contents", "The model is inside, training data are not, and nothing is fetched at the start", points=1,
                hints={
    "no-model": Hint("No COPY brings the models.", "An image without its model serves nothing elsewhere."),
    "ignored": Hint(".dockerignore leaves the models out.", "COPY sees only what it lets through."),
    "data": Hint("{name} comes into the image.", "Training data are large, and often about people."),
    "piped": Hint("`{found}` runs whatever stands at that address.", "Tomorrow it is something else. Copy a file, or "
                  "name a version."),
    "downloads": Hint("`{found}` runs at each start.", "Without that host it does not start, and tomorrow it fetches "
                      "something else."),
})  # fmt: skip
def contents(answer: Answer, case: Case) -> None:
    stages = _stages(answer, case)
    sources = [source.rstrip("/").removeprefix("./") for stage in stages for one in stage.instructions
               for source in _sources(one)]  # fmt: skip
    piped = next((found for stage in stages for one in stage.instructions if (found := PIPED.search(one.text))), None)
    case.expect(not piped, "A script from elsewhere is run.", hint="piped", found=piped[0] if piped else "")
    ignored = {line.strip().strip("/") for line in answer.text(".dockerignore").splitlines()}
    whole = bool({".", "", "*"} & set(sources))
    case.expect(whole or any("model" in one for one in sources), "The models are not copied.", hint="no-model",
                expected="the models", received=", ".join(sources))  # fmt: skip
    case.expect(not {"models", "models/**", "*.onnx", "*.keras"} & ignored, "The models are ignored.", hint="ignored")
    folder = answer.path.parent if answer.path is not None else None
    there = [name for name in ("data", "dataset", "datasets") if folder is not None and (folder / name).is_dir()]
    data = next((name for name in ("data", "dataset", "datasets")
                 if name in sources or (whole and name in there and name not in ignored)), "")  # fmt: skip
    case.expect(not data, "Training data come into the image.", hint="data", name=data)
    found = DOWNLOADS.search(_command(answer, stages[-1]))
    case.expect(not found, "Something is fetched at each start.", hint="downloads", found=found[0] if found else "")


@exercise.check("runs", "It is built, answers, and ends when it is told to", points=3, needs="docker", timeout=480,
                after="start", hints={
    **built.HINTS,
    "killed": Hint("After {seconds:.0f} s it had to be killed.", "SIGTERM went to a process that does not pass it on, "
                   "or has no handler: every request in it was lost."),
    "unhealthy": Hint("It answers, and its own health check says that it is ill.", "The check runs inside: is its "
                      "program there, and is the port the right one?"),
})  # fmt: skip
def runs(answer: Answer, case: Case) -> None:
    folder, engine = built.context(answer, case), built.engine(case)
    case.note("docker build --tag image .", "docker run --detach --name server image")
    container = engine.start(engine.build(folder))
    port = container.await_port(container.ports(), START_SECONDS)
    with container.explaining():
        built.answers(Server(f"http://{container.address}:{port}"), case)
    healthy = container.healthy()
    seconds, status = container.stop()
    case.note(f"docker stop --time {STOP_SECONDS:.0f} server", f"→ {seconds:.1f} s, exit status {status}")
    killed = status == KILLED and seconds >= STOP_SECONDS - 1
    wrong = [name for name, met in (("killed", killed), ("unhealthy", healthy is False)) if met]
    if wrong:
        case.fail("It answers, but: " + " and ".join(wrong) + ".", hint=wrong[0], share=1 - len(wrong) / 3,
                  seconds=seconds, expected="healthy, ended by SIGTERM", received=f"exit status {status}")  # fmt: skip
