"""deploy-3: several servers behind a proxy, as Compose reads them: by rules, and running where there is an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_lab.deploy.lint.manifests import at
from mlops_lab.grade.calls import Answer
from mlops_lab.grade.cases import Case
from mlops_lab.grade.exercises import Exercise, Hint
from mlops_lab.grade.live import Server
from mlops_lab.grade.rubric import built
from mlops_lab.grade.rubric.dockerfile import asks_nothing, read
from mlops_lab.grade.rubric.shared import of_a_persons_size

exercise = Exercise("deploy-3", "Compose: more than one", kind="file",
                    names=("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"),
                    section="Notebook 6, section 3")  # fmt: skip
PROXIES = ("nginx", "traefik", "haproxy", "caddy", "envoy")
OTHERS = ("prom/", "prometheus", "grafana", "redis", "postgres", "tensorflow/serving")
Service = Mapping[str, Any]


def _whole(answer: Answer, case: Case) -> dict[str, Any]:
    """Return what a file holds, services among it."""
    import yaml

    try:
        whole = yaml.safe_load(answer.text())
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        case.fail("This is not YAML.", hint="not-yaml", received=str(error)[:200])
    case.expect(of_a_persons_size(whole), "The file grows without end.", hint="not-yaml", received="aliases of aliases")
    services = whole.get("services") if isinstance(whole, dict) else None
    found = isinstance(services, dict) and services and all(isinstance(one, dict) for one in services.values())
    case.expect(found, "There are no services.", hint="not-yaml", expected="services:", received=str(services)[:80])
    return dict(whole)


def _services(answer: Answer, case: Case) -> dict[str, Service]:
    """Return the services of a file by name."""
    return dict(_whole(answer, case)["services"])


def _image(service: Service) -> str:
    return str(service.get("image", ""))


def _proxies(services: dict[str, Service]) -> dict[str, Service]:
    return {name: one for name, one in services.items() if any(word in _image(one) for word in PROXIES)}


def _servers(services: dict[str, Service]) -> dict[str, Service]:
    """Return the services that answer requests: neither proxies, nor what stands beside."""
    return {name: one for name, one in services.items() if name not in _proxies(services)
            and (one.get("build") or not any(word in _image(one) for word in OTHERS)) and not one.get("profiles")
            }  # fmt: skip


def _copies(service: Service) -> int:
    for value in (service.get("scale"), at(service, "deploy", "replicas")):
        if isinstance(value, int | str) and str(value).isdigit():
            return int(value)
    return 1


NOT_YAML = {"not-yaml": Hint("Compose cannot read this file.", "Look at the indentation: two spaces a step, no tabs.")}


@exercise.check("servers", "Two servers, and a proxy in front", points=1, needs="yaml", hints={
    **NOT_YAML,
    "one": Hint("There is {n} server.", "`deploy: replicas: 2`, `scale: 2`, or two services."),
    "no-proxy": Hint("Nothing stands in front.", "Somebody must choose which server gets a request: nginx, say."),
})  # fmt: skip
def servers(answer: Answer, case: Case) -> None:
    services = _services(answer, case)
    count = sum(map(_copies, _servers(services).values()))
    case.expect(count >= 2, "There are no two servers.", hint="one", n=count, expected=2, received=count)
    case.expect(_proxies(services), "There is no proxy.", hint="no-proxy", share=0.5)


@exercise.check("door", "Only the proxy has a door", points=1, after="servers", needs="yaml", hints={
    "port": Hint(
        "{name} takes the port {port} of the machine.", "The second server finds it taken. Only the proxy needs a door."
    ),
    "closed": Hint("The proxy has no ports.", "From outside nobody reaches any of them."),
})  # fmt: skip
def door(answer: Answer, case: Case) -> None:
    services = _services(answer, case)
    for name, one in _servers(services).items():
        ports = one.get("ports")
        case.expect(not ports, f"{name} has a port of the machine.", hint="port", name=name,
                    port=ports[0] if isinstance(ports, list) and ports else ports, expected="no ports",
                    received=ports)  # fmt: skip
    case.expect(any(one.get("ports") for one in _proxies(services).values()), "The proxy has no ports.", hint="closed")


@exercise.check("ready", "The proxy waits until the servers are ready", points=2, after="servers", needs="yaml", hints={
    "started": Hint("{name} waits for the start, not for ready.", "The first requests get 502: "
                    "`condition: service_healthy`."),
    "no-wait": Hint("{name} waits for nobody.", "It asks servers that are still loading their models."),
    "no-health": Hint("{name} has no health check.", "Nothing can say when it is ready."),
    "always-well": Hint("The health check of {name} is `{found}`.", "Ready at once, whatever the server does: ask it."),
})  # fmt: skip
def ready(answer: Answer, case: Case) -> None:
    services = _services(answer, case)
    for name, proxy in _proxies(services).items():
        waits = proxy.get("depends_on")
        case.expect(waits, "The proxy depends on nothing.", hint="no-wait", name=name)
        for server, one in _servers(services).items():
            condition = at(waits, server, "condition") if isinstance(waits, dict) else "service_started"
            case.expect(condition == "service_healthy", "The proxy does not wait for ready.", hint="started", name=name,
                        expected="service_healthy", received=condition)  # fmt: skip
            health = one.get("healthcheck") or _image_asks(answer, one)
            case.expect(health and not at(one, "healthcheck", "disable"), f"{server} has no health check.",
                        hint="no-health", name=server, share=0.5)  # fmt: skip
            test = at(one, "healthcheck", "test")
            listed = [str(word) for word in test[1:]] if isinstance(test, list) else []
            words = test.split() if isinstance(test, str) else listed
            case.expect(not asks_nothing(words), f"The health check of {server} asks nobody.", hint="always-well",
                        name=server, found=" ".join(words), share=0.5, received=" ".join(words))  # fmt: skip


def _image_asks(answer: Answer, service: Service) -> bool:
    """Whether the Dockerfile that a service is built from has a health check."""
    build = service.get("build")
    folder = build if isinstance(build, str) else at(service, "build", "context")
    if not isinstance(folder, str) or answer.path is None or ".." in folder:
        return False
    name = f"{folder}/{at(service, 'build', 'dockerfile') or 'Dockerfile'}"
    inside = (answer.path.parent / name).resolve().is_relative_to(answer.path.parent.resolve())
    stages = read(answer.text(name)) if inside else []
    return bool(stages) and stages[-1].last("HEALTHCHECK") is not None


@exercise.check("limits", "Each server has its memory, and comes back", points=2, after="servers", needs="yaml", hints={
    "no-limit": Hint("{name} has no memory limit.", "One leak takes the neighbour down."),
    "no-restart": Hint("{name} is not started again.", "A server that died stays dead until somebody looks."),
})  # fmt: skip
def limits(answer: Answer, case: Case) -> None:
    for name, one in _servers(_services(answer, case)).items():
        memory = one.get("mem_limit") or at(one, "deploy", "resources", "limits", "memory")
        again = str(one.get("restart", "")) not in ("", "no", "False") or bool(at(one, "deploy", "restart_policy"))
        case.expect(memory, f"{name} may take all memory.", hint="no-limit", name=name, share=0.5 * again,
                    expected="a limit of memory", received="nothing")  # fmt: skip
        case.expect(again, f"{name} does not come back.", hint="no-restart", name=name, share=0.5,
                    expected="a restart policy", received=one.get("restart"))  # fmt: skip


ALONE = {"privileged": True, "network_mode": "host", "pid": "host", "ipc": "host", "userns_mode": "host"}


@exercise.check("alone", "No container holds the machine", points=1, needs="yaml", hints={
    **NOT_YAML,
    "privileged": Hint("{name} has `{what}`.", "Whoever breaks it has the machine, with all other containers."),
    "socket": Hint("{name} mounts Docker's socket.", "Whoever can write there is root on the machine."),
})  # fmt: skip
def alone(answer: Answer, case: Case) -> None:
    for name, one in _services(answer, case).items():
        held = [f"{key}: {value}" for key, value in ALONE.items() if one.get(key) == value]
        held += [f"cap_add: {word}" for word in one.get("cap_add") or () if str(word) in ("ALL", "SYS_ADMIN")]
        case.expect(not held, f"{name} holds the machine.", hint="privileged", name=name, what=(held or [""])[0])
        socket = any("docker.sock" in mount for mount, _ in _mounts(one))
        case.expect(not socket, f"{name} holds Docker.", hint="socket", name=name)


def _mounts(service: Service) -> list[tuple[str, bool]]:
    """Return what a service mounts, and whether it may only read it."""
    found = []
    for one in service.get("volumes") or ():
        if isinstance(one, dict):
            found.append((f"{one.get('source')}:{one.get('target')}", one.get("read_only") is True))
        else:
            found.append((str(one), "ro" in str(one).split(":")[-1].split(",")))
    return found


@exercise.check("models", "The models are mounted to be read", points=1, after="servers", needs="yaml", hints={
    "writable": Hint("`{mount}` can be written by the server.",
                     "Whoever breaks the server changes what tomorrow's one answers."),
    "no-models": Hint("{name} mounts no models.", "Servers share one folder of models, and only read it."),
})  # fmt: skip
def models(answer: Answer, case: Case) -> None:
    for name, one in _servers(_services(answer, case)).items():
        mounts = [(mount, only_read) for mount, only_read in _mounts(one) if "model" in mount]
        case.expect(mounts, f"{name} has no models.", hint="no-models", name=name)
        writable = next((mount for mount, only_read in mounts if not only_read), "")
        case.expect(not writable, "The models can be written.", hint="writable", mount=writable, received=writable,
                    expected="only to be read")  # fmt: skip


REQUESTS = 200  # after one server is killed
MOST_FAILED = 10  # after which no more are sent
BEFORE = 40  # that tell which server is asked most


@exercise.check("runs", "One server is killed, and no request fails", points=3, needs=("docker", "yaml"), timeout=600,
                after="servers", hints={
    **built.HINTS,
    "compose": Hint("Compose does not take the file.", "Its last line says why: docker compose config."),
    "not-ready": Hint("A service was not ready in time, or is ill.", "Its health check runs inside: is its program "
                      "there, and is the port the right one?"),
    "no-file": Hint("{what} is not in your folder.", "What is mounted or built must be handed in beside it."),
    "single": Hint("{n} server runs.", "Look at what each of them printed: docker compose logs."),
    "hangs": Hint("{lost} of {count} requests waited for more than {seconds:.0f} s after one server was killed.",
                  "The proxy was still trying to reach the dead one: how long may connecting take?"),
    "lost": Hint("{lost} of {count} requests failed after one server was killed.",
                 "The proxy knows only that one, or goes on asking it: where is the other one in its file?"),
})  # fmt: skip
def runs(answer: Answer, case: Case) -> None:
    from mlops_lab.grade import stack

    if not stack.program():
        case.skip("Docker Compose is not installed")
    top = _whole(answer, case)
    services = dict(top["services"])
    proxy = next(iter(_proxies(services).items()), None)
    case.expect(proxy, "There is no proxy.", hint="unreached", ports="the proxy")
    name, front = proxy or ("", {})
    servers = _servers(services)
    kept = {each: services[each] for each in (*servers, name, *_waited_for(services, (*servers, name)))}
    folder, engine = built.context(answer, case), built.engine(case)
    case.note("docker compose up --detach")
    running = stack.Stack(engine, folder, kept, {each: _copies(one) for each, one in kept.items()}, top)
    server = Server(running.service_url(name, _inner_ports(front)))
    built.answers(server, case)
    containers = [one for each in servers for one in running.containers(each)]
    case.expect(len(containers) > 1, "There are no two servers that run.", hint="single", n=len(containers))
    before = [stack.received(one) for one in containers]
    for _ in range(BEFORE):
        built.ask(server)
    grown = [stack.received(one) - was for one, was in zip(containers, before, strict=True)]
    busiest = containers[grown.index(max(grown))]
    busiest.kill()
    ends: list[str] = []
    while len(ends) < REQUESTS and sum(map(bool, ends)) < MOST_FAILED:
        ends.append(built.ask(server))
    failed, late = sum(map(bool, ends)), ends.count("late")
    case.note(f"docker kill {busiest.name}", f"→ {failed} of {len(ends)} requests failed, {late} of them late")
    case.expect(not failed, "Requests failed after one server was killed.", hint="hangs" if late == failed else "lost",
                lost=failed, count=len(ends), seconds=built.LATE_SECONDS, expected="0 failed", received=failed,
                share=1 / 3)  # fmt: skip


def _waited_for(services: dict[str, Service], names: tuple[str, ...]) -> list[str]:
    """Return what services wait for, and what that waits for, beside themselves."""
    found = list(names)
    for name in found:
        found += [each for each in services[name].get("depends_on") or () if each in services and each not in found]
    return found[len(names) :]


def _inner_ports(service: Service) -> list[int]:
    """Return the ports inside of a proxy to which its doors lead."""
    found = []
    for one in service.get("ports") or ():
        port = str(one.get("target") if isinstance(one, dict) else one).rpartition(":")[2].partition("/")[0]
        found += [int(port)] if port.isdigit() else []
    return found or [80]
