# %% [markdown]
# # Stage 6: deploy
#
# Your server answers on your own machine. **Deployment** brings it to where others use it, and replaces it there when you
# have something better, without anybody noticing. Both are done so often that no step may depend on somebody's memory, so
# both are automated.
#
# **What you will be able to do**
#
# * put your server into an image, and start it by script, with Compose and on Kubernetes,
# * serve the same folder with TensorFlow Serving,
# * find the mistakes of such files before anything runs,
# * release a version so that a bad one never reaches anybody, and there is always a way back.
#
# Run the cells from top to bottom with **Shift + Enter**. It takes 60 to 90 minutes with the exercises. It needs no Docker,
# no cluster and no network: files are checked by reading them, and programs by running them. Where Docker or Ray is there,
# it is used; where not, the cell says what it would do.

# %%
from mlops_lab import course

course.lifecycle("deploy")

# %% [markdown]
# ## Run and look
#
# We copy the model of the handwritten digits into a folder of its own, so that nothing we break matters. A deployment is
# described by files; the lab fills them in for your model and *shows* them. Nothing is written or run. Click on a name.

# %%
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mlops_lab import data, deploy, grade, pipeline, serve, store, train, validate
from mlops_lab.deploy import lint
from mlops_lab.grade.handout import hand_out
from mlops_lab.store.shipped import shipped_models

if not Path("models").is_dir():
    shutil.copytree(shipped_models(), "models")
folder = Path(tempfile.mkdtemp()) / "models"
shutil.copytree("models/digits", folder / "digits")
models = store.ModelStore(folder)
digits = data.load("digits")
spec = deploy.make_spec(models.root, "digits", "production")
files = deploy.files(spec, "docker")
files

# %% [markdown]
# There are two `FROM` lines: why two? Which user does the server run as? What asks whether it is healthy? Each line has a
# comment that says why. `files` is a mapping from path to text.

# %%
for line in files["Dockerfile"].splitlines():
    if line.startswith(("FROM", "USER", "ENTRYPOINT")):
        print(line)

# %% [markdown]
# Files can be valid and still not work. The linter knows 45 such mistakes in Kubernetes files:

# %%
print(len(lint.rules()), "rules")
kubernetes = deploy.files(spec, "kubernetes")
print(kubernetes["base/service.yaml"])
lint.check(kubernetes)

# %% [markdown]
# **Predict, then run.** A careless edit: the Service now looks for pods with the label `digit`. It is valid YAML, and
# Kubernetes accepts it. What becomes of the requests?

# %% tags=["predict", "stub"]
guess = ...  # in words

# %% tags=["predict", "solution"]
guess = "they get no answer: no pod bears that label"

# %%
edited = dict(kubernetes)
service = edited["base/service.yaml"]
label = 'app.kubernetes.io/name: "{}"'
edited["base/service.yaml"] = service.replace(label.format("digits"), label.format("digit"))
careless = lint.check(edited)
course.reveal(guess, lambda: careless.findings[0].message, "Found by reading, before there is a cluster.")

# %%
careless

# %% [markdown]
# **Predict, then run.** A container is ended with the signal SIGTERM, at every release. Eight requests are under way: half
# of each image has arrived. How many get their answer?

# %% tags=["predict", "stub"]
guess = ...  # 0 to 8

# %% tags=["predict", "solution"]
guess = 8

# %%
import http.client
import signal
import socket

from mlops_lab.image import encode_png

image = encode_png(digits.test.images[0])
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
command = [sys.executable, "-m", "mlops_lab", "serve", "--models", str(folder), "--port", str(port)]
process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while True:
    try:
        serve.Client(f"http://127.0.0.1:{port}").models()
        break
    except Exception:
        time.sleep(0.2)

# %%
under_way = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(8)]
for connection in under_way:
    connection.putrequest("POST", "/models/digits/v1")
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(len(image)))
    connection.endheaders(image[:50])
time.sleep(0.3)
process.send_signal(signal.SIGTERM)
time.sleep(0.3)
for connection in under_way:
    connection.send(image[50:])
statuses = [connection.getresponse().status for connection in under_way]
ended = process.wait(20)
course.reveal(guess, statuses.count(200), f"Its exit status was {ended}.")

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# A server that *drains* takes no new requests, answers those under way, and ends with status 0.

# %% [markdown]
# It works only if the signal *arrives*: a shell in front of the server swallows it. Keep that in mind for deploy-1.
#
# ## 1. A Dockerfile
#
# An image holds your program, its packages and its model. From here on you write files beside this notebook; open them
# in the list on the left, edit and save, and run the check.
#
# > **deploy-1.** `Dockerfile` for your `api.py` of stage 4 and `models/`: a base with a version; requirements copied before
# > the code; a user that is not root; a server for production (`waitress-serve`, `gunicorn`, `uvicorn`) that listens on
# > 0.0.0.0; `EXPOSE`; a health check; the model inside, the training data not; `CMD` in exec form.

# %% tags=["stub"] mlops_lab={"exercise": "deploy-1"}
starter = Path(course.__file__).parent / "starter" / "Dockerfile.txt"
if not Path("Dockerfile").exists():  # what you have written stays
    shutil.copyfile(starter, "Dockerfile")
print(Path("Dockerfile").read_text())

# %% tags=["solution"] mlops_lab={"exercise": "deploy-1"}
DOCKERFILE = """FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY models models
COPY api.py images.py registry.py chains.py ./
USER 10001
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]
CMD ["waitress-serve", "--listen=0.0.0.0:8000", "api:app"]
"""
Path("Dockerfile").write_text(DOCKERFILE)

# %% tags=["check"]
grade.check("deploy-1", "Dockerfile")

# %% [markdown] tags=["hint"]
# Docker keeps the result of each line and starts anew from the first line whose files changed. What changes rarely stands
# first. `CMD ["program", "argument"]` starts the program itself; `CMD program argument` a shell that starts it.

# %% [markdown]
# ### An image, built and run
#
# The lab's own image, from the files that you saw at the top: built, started, asked, and stopped as at a release. Each
# command is printed, and works in a terminal. The first build fetches packages, which takes a minute or more with a slow
# network; run the cell again, and see what Docker remembers.

# %%
import socket
from contextlib import redirect_stderr, suppress
from dataclasses import replace

from mlops_lab.deploy import docker
from mlops_lab.errors import LabError


def docker_engine():
    """Return the version of the Docker engine that answers, or nothing."""
    with suppress(OSError, subprocess.SubprocessError):
        command = ["docker", "info", "--format", "{{.ServerVersion}}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    return ""


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    contained = replace(spec, image="mlops-lab/digits:notebook", port=free.getsockname()[1])
engine = docker_engine()
print(f"Docker {engine} answers." if engine else "No Docker engine answers here (docker info).")

# %%
if engine:
    try:
        with redirect_stderr(sys.stdout):  # where the lab prints the commands
            docker.build(contained, files, folder.parent / "image", network="host")  # packages come through our network
            began = time.monotonic()
            answer = serve.Client(docker.start(contained)).classify("digits", "production", digits.test.images[0])
            print(f"{time.monotonic() - began:.1f} s after docker run it says: {answer[0]}")
            docker.stop(contained)
    except LabError as error:  # such as a network without a package index
        print(error)
    finally:
        subprocess.run(["docker", "rm", "--force", docker.container(contained)], capture_output=True)
else:
    print("It would build an image from these files (15 s with a package index nearby; 365 MB, of which 216 above the")
    print("base), run it as a user that is not root on files that nobody can write, send it a digit 0.7 s later, and")
    print("end it with SIGTERM. `mlops-lab deploy docker digits --run` does so in a terminal.")

# %% [markdown]
# ## 2. Start, wait, ask, stop
#
# The simplest deployment is a script, and it is harder than it looks: how long do you wait?
#
# > **deploy-2.** `run.py` starts `python api.py`, waits until `/readyz` says 200, posts `golden.png` to `/models/clothes/v1`,
# > prints the address, and ends the server on Ctrl-C. The port is in the environment variable `PORT`, the seconds it may
# > wait in `WAIT`. Exit status 1 where the server was never ready, died, or somebody else's answers at the port.
#
# The check plays five worlds: quick, slow, never ready, dies at once, port taken.

# %% tags=["stub"] mlops_lab={"exercise": "deploy-2"}
START = """import os, subprocess, sys, time

subprocess.Popen([sys.executable, "api.py"])
time.sleep(1)
print("http://127.0.0.1:" + os.environ["PORT"])
"""
if not Path("run.py").exists():
    Path("run.py").write_text(START)
print(Path("run.py").read_text())

# %% tags=["solution"] mlops_lab={"part_of": "deploy-2"}
# %%writefile run.py
import os
import socket
import subprocess
import sys
import time
import urllib.request

PORT, WAIT = os.environ.get("PORT", "8000"), float(os.environ.get("WAIT", 30))
address = f"http://127.0.0.1:{PORT}"


def ready():
    try:
        return urllib.request.urlopen(f"{address}/readyz", timeout=1).status == 200
    except OSError:
        return False


def problem(server):
    """Wait until the server is ready; return what is wrong, or nothing."""
    deadline = time.monotonic() + WAIT
    while not ready():
        if server.poll() is not None:
            return f"The server ended with status {server.returncode}."
        if time.monotonic() > deadline:
            return f"The server was not ready within {WAIT:g} s."
        time.sleep(0.1)
    return "" if server.poll() is None else "Another server answers at this port."


# %% tags=["solution"] mlops_lab={"exercise": "deploy-2"}
# %%writefile -a run.py


def main():
    with socket.socket() as door:
        if door.connect_ex(("127.0.0.1", int(PORT))) == 0:
            print("Somebody else answers at", address)
            return 1
    server = subprocess.Popen([sys.executable, "api.py"])
    try:
        wrong = problem(server)
        if wrong:
            print(wrong)
            return 1
        with open("golden.png", "rb") as file:
            headers = {"Content-Type": "image/png"}
            request = urllib.request.Request(f"{address}/models/clothes/v1", file.read(), headers)
        print(address, urllib.request.urlopen(request, timeout=5).read())
        server.wait()
    except KeyboardInterrupt:
        pass
    finally:  # whatever happened, nothing is left running
        server.terminate()
        server.wait()
    return 0


sys.exit(main())

# %% tags=["check"]
grade.check("deploy-2", "run.py")

# %% [markdown] tags=["hint"]
# Look at two things while you wait: the door (`/readyz`) and the process (`poll()` is `None` while it runs). A port that
# answers before you have started anything is somebody else's. `finally` runs after Ctrl-C, too.

# %% [markdown]
# ## 3. Compose: more than one
#
# Two servers and a proxy in front: one may die, and nobody notices.
#
# > **deploy-3.** `compose.yaml`: two servers of your image and nginx before them; the servers without a port of this machine;
# > a health check, `restart`, a memory limit, the models read-only; the proxy starts when the servers are *healthy*.

# %% tags=["stub"] mlops_lab={"exercise": "deploy-3"}
START = """services:
  server:
    build: .
    ports: ["8000:8000"]
  proxy:
    image: nginx
    depends_on: [server]
"""
if not Path("compose.yaml").exists():
    Path("compose.yaml").write_text(START)
print(Path("compose.yaml").read_text())

# %% tags=["solution"] mlops_lab={"exercise": "deploy-3"}
COMPOSE = """services:
  server:
    build: .
    image: shop/clothes:1.4
    deploy:
      replicas: 2
    mem_limit: 1g
    restart: unless-stopped
    volumes:
      - ./models:/app/models:ro
    healthcheck:
      test: [CMD, python, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]
  proxy:
    image: nginx:1.30
    ports:
      - "8000:80"
    volumes:
      - ./nginx.conf:/etc/nginx/conf.d/default.conf:ro
    depends_on:
      server:
        condition: service_healthy
"""
NGINX = "server { location / { proxy_pass http://server:8000; proxy_next_upstream error timeout; } }\n"
Path("nginx.conf").write_text(NGINX)
Path("compose.yaml").write_text(COMPOSE)

# %% tags=["check"]
grade.check("deploy-3", "compose.yaml")

# %% [markdown] tags=["hint"]
# Only the proxy needs a door (`ports`); inside, services find each other by name. `depends_on` with a list waits for the
# *start*; with `condition: service_healthy` for the health check.

# %% [markdown]
# ## 4. Kubernetes: find the five
#
# > **deploy-4.** The folder `k8s` holds three files with five mistakes. Correct them, and change nothing else. Whoever
# > removes the probe that complains has silence, and no probe.

# %% tags=["stub"] mlops_lab={"exercise": "deploy-4"}
if not Path("k8s").exists():  # what you have written stays
    hand_out("deploy-4", "k8s")
lint.check({path.name: path.read_text() for path in Path("k8s").iterdir()})

# %% tags=["solution"] mlops_lab={"exercise": "deploy-4"}
shutil.rmtree("k8s", ignore_errors=True)
hand_out("deploy-4", "k8s")
startup = """          startupProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 2
            failureThreshold: 60
          readinessProbe:"""
corrections = {
    "replicas: 1": "replicas: 2",  # one may always be taken away
    "clothes:latest": "clothes:1.4",
    "app: cloths": "app: clothes",  # the label that the pods bear
    "          readinessProbe:": startup,  # a slow start is no reason to restart
    "          resources:": "          resources:\n            requests: {cpu: 250m, memory: 256Mi}",
}
for path in Path("k8s").iterdir():
    text = path.read_text()
    for wrong, right in corrections.items():
        text = text.replace(wrong, right)
    path.write_text(text)
lint.check({path.name: path.read_text() for path in Path("k8s").iterdir()})

# %% tags=["check"]
grade.check("deploy-4", "k8s")

# %% [markdown] tags=["hint"]
# Each finding names a rule, an object and a place. The Service selects by label; pods bear theirs under
# `template.metadata.labels`. A budget that allows no pod to go stops every upgrade of a node: have one more pod.

# %% [markdown]
# ## 5. TensorFlow Serving, the same folder
#
# A store of the lab is a folder that TensorFlow Serving reads: a number for each version, a SavedModel in it. That server
# takes numbers and not images, so the first two duties move to the client.
#
# > **deploy-5.** `config`, the text of its `models.config` for the versions 1 (`stable`) and 2 (`canary`) of `clothes`, both
# > loaded; and `ask(url, images, post)`, which asks `stable` and returns the probabilities. `post(url, body)` sends a dict as
# > JSON and returns one. Its route is `/v1/models/NAME/labels/LABEL:predict`, its body `{"instances": …}`, n×28×28×1.

# %% tags=["stub"] mlops_lab={"exercise": "deploy-5"}
config = """
model_config_list {
  config { name: "clothes" base_path: "/models/clothes" model_platform: "tensorflow" }
}
"""


def ask(url, images, post):
    answer = post(f"{url}/v1/models/clothes:predict", {"instances": images.tolist()})
    return answer["predictions"]


# %% tags=["solution"] mlops_lab={"exercise": "deploy-5"}
config = """
model_config_list {
  config {
    name: "clothes"
    base_path: "/models/clothes"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 versions: 2 } }
    version_labels { key: "stable" value: 1 }
    version_labels { key: "canary" value: 2 }
  }
}
"""


def ask(url, images, post):
    rows = (images / 255).reshape(-1, 28, 28, 1).tolist()
    answer = post(f"{url}/v1/models/clothes/labels/stable:predict", {"instances": rows})
    return answer["predictions"]


# %% tags=["check"]
grade.check("deploy-5", (config, ask))

# %% [markdown] tags=["hint"]
# Without `model_version_policy` the newest version alone is loaded. A SavedModel holds the network and not your
# preparation: whoever asks it prepares, as in training.

# %% [markdown]
# Our own server speaks that dialect as well, so what you wrote can be tried without TensorFlow:

# %%
import requests

shop = serve.start("models", name="shop")
examples = data.load("fashion-mnist").test.images[:2]
rows = {"instances": (examples / 255).reshape(-1, 28, 28, 1).tolist()}
answer = requests.post(f"{shop.url}/v1/models/clothes:predict", json=rows).json()
print([max(range(10), key=row.__getitem__) for row in answer["predictions"]])

# %% [markdown]
# ## 6. Release, and back again
#
# Production is a server that must go on answering. Whoever asks for `/models/digits/production` gets the version that the
# name `production` points at; a release moves that name.

# %%
production = serve.start(models, name="production")
client = serve.Client(production)
client.classify("digits", "production", digits.test.images[0])

# %% [markdown]
# > **deploy-6.** `release(version, actions)`: stage, then integration, acceptance and load, then switch, then verify; stop at
# > the first failure, put back what *was* there, leave nothing running, and say so. `actions` holds functions: `stage(version)`,
# > `integration()`, `acceptance()`, `load()`, `switch(version)` and `verify()` raise where they fail; `production()` gives the
# > version there, `clear()` ends staging, `note(text)` writes the record. Return `True` where it is released, else `False`.


# %% tags=["stub"] mlops_lab={"exercise": "deploy-6"}
def release(version, actions):
    actions["switch"](version)
    actions["verify"]()
    return True


# %% tags=["solution"] mlops_lab={"exercise": "deploy-6"}
def release(version, actions):
    before, step, switched = actions["production"](), "stage", False
    try:
        actions["stage"](version)
        for step in ("integration", "acceptance", "load"):
            actions[step]()
        step, switched = "switch", True  # it may fail halfway
        actions["switch"](version)
        step = "verify"
        actions["verify"]()
    except BaseException as error:  # Ctrl-C, too
        if switched:
            actions["switch"](before)
        actions["note"](f"version {version} failed at {step}: {error}")
        if isinstance(error, Exception):
            return False
        raise
    finally:
        actions["clear"]()
    actions["note"](f"version {version} is in production; before it was {before}")
    return True


# %% tags=["check"]
grade.check("deploy-6", release)

# %% [markdown] tags=["hint"]
# Ask `production()` before you touch anything: the version before is not always one less. `finally` clears up after
# Ctrl-C. Where you catch an error, whoever called you must still learn of it.

# %% [markdown]
# ### The lab's release, and three versions that it refuses
#
# `mlops-lab pipeline run digits` does the same with real servers: it starts the version where nobody sees it, examines it
# there over HTTP, and only then moves the name. First a good one: trained with another seed, published as version 2.

# %%
run = train.fit_sklearn(digits, seed=7)
models.publish(run, "digits", description="Trained with another seed")
plan = pipeline.ReleasePlan(
    models.root,
    "digits",
    2,
    url=production.url,
    why="another seed",
    expected=validate.Expected(accuracy=0.9, max_accuracy_drop=0.02, milliseconds=1000),
    load=validate.LoadTestConfig(clients=2, seconds=1, milliseconds=2000),
)
released = pipeline.release(plan, pipeline.ConsoleReporter())
released

# %% [markdown]
# *One*: somebody trained on sixty images only, and did not look. *Two*: the good model again, but a file was damaged on
# its way. *Three*: a version that is right, and too slow for what we promised, a hundredth of a millisecond.
#
# **Predict, then run.** Which stage refuses each?

# %% tags=["predict", "stub"]
guess = ...  # such as "stage, stage, stage"

# %% tags=["predict", "solution"]
guess = "acceptance, build, load"

# %%
models.publish(train.fit_sklearn(digits.limited(60)), "digits", description="Trained in a hurry")
models.publish(run, "digits")
broken = folder / "digits" / "4" / "model.onnx"
broken.write_bytes(broken.read_bytes()[:1000])
models.publish(run, "digits")
refused = [pipeline.release(replace(plan, version=number)) for number in (3, 4)]
refused.append(pipeline.release(replace(plan, version=5, load=replace(plan.load, milliseconds=0.01))))
stages = [next(part.name for part in one.outcomes if part.state == "failed") for one in refused]
course.reveal(guess, ", ".join(stages))

# %%
for one in refused:
    print(one.summary)

# %% [markdown]
# And production, all the while?

# %%
seen = [one for one in production.requests if one.path.endswith("/production")]
print(f"{len(seen)} requests, of which {sum(one.status >= 500 for one in seen)} failed at the server")
print("production is", client.info("digits", "production")["version"])
for entry in models.history("digits")[-2:]:
    print(entry["time"], entry["event"], entry.get("state", ""), entry.get("why", ""))

# %% [markdown]
# > Point the name back by hand, `models.rollback("digits")`, and ask production again a second later.
#
# ## Past one machine: Ray
#
# Kubernetes starts more of the same image. [Ray Serve](https://docs.ray.io) spreads *models* over the machines of a cluster:
# replicas of each version, shares of a GPU, more of them under load. Our own server stays in front, with its limits,
# errors and protocols, and each version is an application of Ray. It pays for models that take long, and not for LeNet: with
# one client 143 requests a second in the place of 935.

# %%
from contextlib import redirect_stderr
from importlib.util import find_spec

from mlops_lab.deploy import ray_front

print("\n".join(deploy.files(spec, "ray")), "\n")
if find_spec("ray"):
    began = time.monotonic()
    with redirect_stderr(sys.stdout):  # where Ray says what it sees
        on_ray = ray_front.deploy_model(folder, "digits", ray_front.Replicas(2, cpus=0.1))
    front = serve.start(on_ray, name="front")
    answer = serve.Client(front).classify("digits", "production", digits.test.images[0])
    print(f"{time.monotonic() - began:.0f} s until a replica answered, through our server: {answer[0]}")
else:
    print(
        "Ray is not installed here (pip install 'mlops-lab[ray]'). It would start two replicas of digits, each a process"
    )
    print(
        "of its own, and our server in front of them: 14 s until the first answer, and 1.7 GB of memory in the place of"
    )
    print("97 MB. A replica that is killed costs one retry and no request, and `node.sh` adds another machine.")

# %% [markdown]
# Ray has a page of its deployments. It is not started, because whoever reaches it can run programs; Python is told the same.
# Then we end one of the two replicas, as a machine does that fails, and go on asking.

# %%
if find_spec("ray"):
    import psutil
    import ray

    while any(ray_front.count_running(one) < 2 for one in ray.serve.status().applications.values()):
        time.sleep(0.2)  # our server began with the first of them
    for application, state in ray.serve.status().applications.items():
        print(application, state.status.value, ray_front.count_running(state), "replicas")
    of_ray = psutil.Process().children(recursive=True)
    replicas = [one for one in of_ray if "ServeReplica" in " ".join(one.cmdline())]
    replicas[0].kill()
    asked = serve.Client(front)
    answers = [asked.classify("digits", "production", image)[0].label for image in digits.test.images[:40]]
    failed = sum(one.status != 200 for one in front.requests)
    print(f"1 of {len(replicas)} replicas was killed: {len(answers)} answers, {failed} requests failed")
    front.stop()
    ray.shutdown()
    left = psutil.wait_procs(of_ray, timeout=20)[1]
    print(f"{len(left)} of {len(of_ray)} processes are left")
else:
    print("It would say that two replicas run, and after one was killed: 40 answers, 0 requests failed.")

# %% [markdown]
# ## Stretch
#
# *On GitHub.* The same release whenever somebody pushes a version. Read the file, and find the line that releases:

# %%
workflow = deploy.files(deploy.make_spec("models", "digits"), "github")[".github/workflows/release.yaml"]
print(workflow[workflow.index("      - name: Build, stage") : workflow.index("      - name: Show")])

# %% [markdown]
# > *A canary.* `deploy.files(spec, "kubernetes")` has `overlays/canary`: one pod of the candidate in ten. Which label tells the
# > Service to send it requests, and what would you look at before you give it all of them?
#
# ## Where it goes wrong
#
# | what you see | what it is |
# |---|---|
# | the container is healthy and nobody reaches it | the server listens on 127.0.0.1 *inside*: its loopback is its own |
# | `docker stop` takes ten seconds | SIGTERM never arrives: a shell in front (shell form of `CMD`) |
# | every build installs everything | the code is copied before the requirements |
# | 502 for the first seconds | the proxy waits for the start, and not for ready |
# | `CrashLoopBackOff` at a slow start | a liveness probe without a startup probe |
# | requests of a Service hang | no pod bears the label that it selects |
# | TensorFlow Serving is right for 83 of 100 | nobody divides by 255 over there |
# | the machine says *released*, and it was not | an error was swallowed: look at the exit status |

# %% [markdown]
# ## What you have seen
#
# * A deployment is files, and files can be read and checked before anything runs.
# * A version is examined where it runs, over HTTP, because that is what its users see.
# * The name `production` moves only after everything was found good, and moves back when something is not.
# * What was decided, by whom and why, is kept beside the version.
#
# ## The same from a terminal
#
# ```console
# $ docker build -t shop/clothes:1.4 . && docker compose up    # yours
# $ mlops-lab deploy docker digits --run                         # the lab's
# $ mlops-lab deploy kubernetes digits --out deployed && mlops-lab deploy kubernetes digits --check
# $ mlops-lab deploy ray digits --replicas 2 --run               # where Ray is installed
# $ mlops-lab pipeline run digits --why "another seed"
# $ mlops-lab grade . --only deploy
# ```
#
# The servers of this notebook end with its kernel; `serve.stop_all()` ends them earlier.
#
# **Next:** stage 7, *monitor*: the world moves.

# %%
grade.progress()
