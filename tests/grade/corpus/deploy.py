"""The corpus of deploy-1 to deploy-6."""

from __future__ import annotations

from corpus.deploy_sources import (
    COMPOSE,
    DOCKERFILE,
    FORGED,
    RELEASE,
    RUN,
    SERVING,
    TWO_SERVICES,
    TWO_STAGES,
    given,
    repaired,
)
from corpus_types import Answers, Wrong, edited

Files = dict[str, str | bytes]


def image(*pairs: tuple[str, str], source: str = DOCKERFILE, **beside: str) -> Files:
    names = {"dockerignore": ".dockerignore", "start": "start.sh", "api": "api.py", "data": "data/x.csv"}
    return {"Dockerfile": edited(source, *pairs), **{names[name]: text for name, text in beside.items()}}


def compose(*pairs: tuple[str, str], source: str = COMPOSE) -> Files:
    return {"compose.yaml": edited(source, *pairs)}


WAITS = "    depends_on:\n      server:\n        condition: service_healthy\n"
CMD = 'CMD ["gunicorn", "--bind=0.0.0.0:8000", "api:app"]'
COPIES = "COPY requirements.txt .\nRUN pip install --no-cache-dir -r requirements.txt\n"
STARTUP = ("          startupProbe:\n            httpGet: {path: /healthz, port: http}\n            periodSeconds: 2\n"
           "            failureThreshold: 60\n")  # fmt: skip
LIVENESS = ("          livenessProbe:\n            httpGet:\n              path: /healthz\n              port: http\n"
            "            periodSeconds: 2\n            failureThreshold: 1\n")  # fmt: skip
BROKEN = given()
CAUGHT = "        if isinstance(error, Exception):\n            return False\n        raise\n"
DONE = '        actions["switch"](version)\n        step = "verify"\n'

LOOKS = RUN[RUN.index("    with socket.socket()") : RUN.index("    server =")]
WAITING = RUN[RUN.index("        deadline =") : RUN.index("        with open(")]
DIED = RUN[RUN.index("            if server.poll()") : RUN.index("            if time.monotonic()")]
ASKED = RUN[RUN.index("        with open(") : RUN.index("        print(address")]
ENDED = RUN[RUN.index("    except KeyboardInterrupt") : RUN.index("if __name__")]


def start(*pairs: tuple[str, str]) -> Files:
    return {"run.py": edited(RUN, *pairs)}


ASKS = next(line for line in DOCKERFILE.splitlines() if line.startswith("HEALTHCHECK"))
LABELLED = SERVING[SERVING.index("    version_labels") : SERVING.index("  }\n}")]

CORPUS = {
    "deploy-1": Answers(
        right=[
            image(),
            image(source=TWO_STAGES),
            image((CMD, 'CMD ["./start.sh"]'), start="#!/bin/sh\nexec gunicorn --bind 0.0.0.0:8000 api:app\n"),
            image(("python:3.11-slim", "python@sha256:" + 64 * "a"), ("CMD [\"gunicorn", "ENTRYPOINT [\"gunicorn")),
            image(("COPY models models\nCOPY api.py .", "COPY . ."), data="x", dockerignore="data/\n"),
            image((CMD, "CMD exec uvicorn --host 0.0.0.0 api:app")),
        ],
        wrong=[
            Wrong(image(("python:3.11-slim", "python")), "deploy-1.base", "latest"),
            Wrong(image(("python:3.11-slim", "python:latest")), "deploy-1.base", "latest"),
            Wrong(image((COPIES, "COPY . .\nRUN pip install -r requirements.txt\n")), "deploy-1.layers", "copy-first"),
            Wrong(image(("USER 10001\n", "")), "deploy-1.user", "root"),
            Wrong(image((CMD, "CMD flask --app api run --host 127.0.0.1")), "deploy-1.start", "loopback"),
            Wrong(image((CMD, 'CMD ["flask", "--app", "api", "run", "--host", "0.0.0.0"]')), "deploy-1.start", "development"),
            Wrong(image((CMD, 'CMD ["python", "api.py"]'), api="app.run(host='0.0.0.0')\n"), "deploy-1.start", "development"),
            Wrong(image((CMD, "CMD waitress-serve --listen=0.0.0.0:8000 api:app")), "deploy-1.start", "shell-form"),
            Wrong(image((CMD, 'CMD ["uvicorn", "api:app"]')), "deploy-1.start", "loopback"),
            Wrong(image(("HEALTHCHECK", "LABEL a=b\n# HEALTHCHECK")), "deploy-1.health", "no-health"),
            Wrong(image((ASKS, "HEALTHCHECK CMD true")), "deploy-1.health", "always-well"),
            Wrong(image((ASKS, 'HEALTHCHECK --interval=5s CMD ["/bin/sh", "-c", "exit 0"]')), "deploy-1.health", "always-well"),
            Wrong(image(("COPY api.py .", "RUN curl -s https://example.com/get | sh\nCOPY api.py .")), "deploy-1.contents", "piped"),
            Wrong(image(("COPY models models\n", "")), "deploy-1.contents", "no-model"),
            Wrong(image(("COPY models models\nCOPY api.py .", "COPY . ."), data="x"), "deploy-1.contents", "data"),
            Wrong(image((CMD, 'CMD ["./start.sh"]'), start="pip install flask && waitress-serve api:app\n"), "deploy-1.contents", "downloads"),
        ],
    ),
    "deploy-2": Answers(
        right=[start()],
        wrong=[
            Wrong(start((WAITING, "        time.sleep(2)\n")), "deploy-2.slow", "early"),
            Wrong(start((DIED, "")), "deploy-2.dies", "waits"),
            Wrong(start((LOOKS, ""), (DIED, "")), "deploy-2.taken", "other"),
            Wrong(start((ENDED, "    except KeyboardInterrupt:\n        server.terminate()\n        server.wait()\n    return 0\n")),
                  "deploy-2.never", "left-running"),
            Wrong(start((ASKED, "        answer = 'ready'\n")), "deploy-2.quick", "not-asked"),
            Wrong({"run.py": FORGED}, "deploy-2.quick", "not-asked"),
        ],
    ),
    "deploy-3": Answers(
        right=[compose(), {**compose(source=TWO_SERVICES), **image()}, {"docker-compose.yml": COMPOSE}],
        wrong=[
            Wrong(compose(("    mem_limit", '    ports: ["8000:8000"]\n    mem_limit')), "deploy-3.door", "port"),
            Wrong(compose((WAITS, "    depends_on: [server]\n")), "deploy-3.ready", "started"),
            Wrong(compose(("    mem_limit: 1g\n", "")), "deploy-3.limits", "no-limit"),
            Wrong(compose(("    restart: unless-stopped\n", "")), "deploy-3.limits", "no-restart"),
            Wrong(compose((":ro", "")), "deploy-3.models", "writable"),
            Wrong(compose(("    mem_limit", "    privileged: true\n    mem_limit")), "deploy-3.alone", "privileged"),
            Wrong(compose(("    mem_limit", "    network_mode: host\n    mem_limit")), "deploy-3.alone", "privileged"),
            Wrong(compose((":ro", ":ro\n      - /var/run/docker.sock:/var/run/docker.sock:ro")), "deploy-3.alone", "socket"),
            Wrong(compose(("      replicas: 2", "      replicas: 1")), "deploy-3.servers", "one"),
            Wrong(compose((WAITS, "")), "deploy-3.ready", "no-wait"),
            Wrong(compose(("[CMD, python, ask.py]", "[CMD, /bin/true]")), "deploy-3.ready", "always-well"),
            Wrong(compose(("[CMD, python, ask.py]", "exit 0")), "deploy-3.ready", "always-well"),
            Wrong(compose(source=TWO_SERVICES), "deploy-3.ready", "no-health"),
            Wrong(compose(("  server:\n    image", "  server:\n\timage")), "deploy-3.servers", "not-yaml"),
        ],
    ),
    "deploy-4": Answers(
        right=[
            repaired(),
            repaired(("  replicas: 2", "  replicas: 3"), ("            periodSeconds: 2\n            failureThreshold: 1\n",
                                                         "            periodSeconds: 10\n            failureThreshold: 3\n")),
        ],
        wrong=[
            Wrong({**BROKEN}, "deploy-4.linter", "latest-tag"),
            Wrong(repaired((STARTUP, "")), "deploy-4.linter", "missing-probe"),
            Wrong(repaired(("  replicas: 2", "  replicas: 1"), ("minAvailable: 1", "minAvailable: 0")), "deploy-4.same", "emptied"),
            Wrong(repaired((LIVENESS, LIVENESS.replace("livenessProbe", "startupProbe")), (STARTUP, "")), "deploy-4.linter", "missing-probe"),
            Wrong(repaired(("app: clothes", "app: cloths")), "deploy-4.same", "pod-labels"),
            Wrong(repaired(("maxSurge: 1", "maxSurge: 2")), "deploy-4.same", "other"),
            Wrong(repaired(("registry.example.com/clothes:1.4", "nginx:1.30")), "deploy-4.same", "image"),
        ],
    ),
    "deploy-5": Answers(
        right=[SERVING, edited(SERVING, ("specific { versions: 1 versions: 2 }", "all {}"))],
        wrong=[
            Wrong(edited(SERVING, ("(images / 255)", "images")), "deploy-5.request", "not-divided"),
            Wrong(edited(SERVING, ("(images / 255).reshape(-1, 28, 28, 1).tolist()", "['iVBORw0KGgo=' for one in images]")), "deploy-5.request", "png"),
            Wrong(edited(SERVING, ("    model_version_policy { specific { versions: 1 versions: 2 } }\n", "")), "deploy-5.config", "newest"),
            Wrong(edited(SERVING, ("/models/clothes\"", "/models\"")), "deploy-5.config", "base-path"),
            Wrong(edited(SERVING, ('key: "canary" value: 2', 'key: "canary" value: 1')), "deploy-5.config", "labels"),
            Wrong(edited(SERVING, (LABELLED, "")), "deploy-5.config", "no-labels"),
            Wrong(edited(SERVING, (".reshape(-1, 28, 28, 1)", "")), "deploy-5.request", "shape"),
            Wrong(edited(SERVING, ("labels/stable:predict", "labels/stable")), "deploy-5.request", "path"),
            Wrong(edited(SERVING, ('return answer["predictions"]', "return answer")), "deploy-5.answer", "whole"),
            Wrong(edited(SERVING, ("model_config_list {", "model_config_list [")), "deploy-5.config", "bad-config"),
        ],
    ),
    "deploy-6": Answers(
        right=[RELEASE, edited(RELEASE, (CAUGHT, "        raise\n"), ("    return True\n", ""))],
        wrong=[
            Wrong(edited(RELEASE, (DONE, ""), ('        for step in ("int', '        step, switched = "switch", True\n' + DONE + '        for step in ("int'),
                         ('        step, switched = "switch", True  # it may fail halfway\n        actions["verify"]()', '        actions["verify"]()')), "deploy-6.good", "switch-first"),
            Wrong(edited(RELEASE, ('actions["switch"](before)', 'actions["switch"](version - 1)')), "deploy-6.back", "minus-one"),
            Wrong(edited(RELEASE, (CAUGHT, "        return True\n")), "deploy-6.says", "swallowed"),
            Wrong(edited(RELEASE, ("        if switched:\n            actions[\"switch\"](before)\n", "")), "deploy-6.back", "left"),
            Wrong(edited(RELEASE, ("    finally:\n        actions[\"clear\"]()\n", "    actions[\"clear\"]()\n")), "deploy-6.nothing-left", "left-running"),
            Wrong(edited(RELEASE, ("except BaseException", "except Exception"), ("    finally:\n        actions[\"clear\"]()\n", "    actions['clear']()\n"),
                         (CAUGHT, "        actions['clear']()\n        return False\n")), "deploy-6.nothing-left", "interrupted"),
            Wrong(edited(RELEASE, ('"acceptance", ', "")), "deploy-6.good", "skipped"),
            Wrong(edited(RELEASE, ("failed at {step}: {error}", "failed")), "deploy-6.says", "no-step"),
        ],
    ),
}  # fmt: skip
