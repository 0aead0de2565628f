"""The files of the image, read as text; and, marked `docker`, the image itself with a real engine."""

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from mlops_lab import data, deploy, serve
from mlops_lab.deploy import docker
from mlops_lab.deploy.packages import lock_requirements
from mlops_lab.errors import LabError, UnsafeFile, WrongUsage
from mlops_lab.image import encode_png
from mlops_lab.serve.ports import bind
from mlops_lab.store import ModelStore
from mlops_lab.store import version as store_version

ROOT = Path(__file__).parents[2]
with_engine = pytest.mark.docker
API = """
from flask import Flask
app = Flask(__name__)
@app.get("/")
def hello():
    return {"mine": True}
"""


@pytest.fixture
def spec():
    return deploy.make_spec(ROOT / "models", "clothes")


@pytest.fixture
def dockerfile(spec):
    return deploy.files(spec, "docker")["Dockerfile"]


def test_two_stages_and_the_last_one_has_no_installer(dockerfile):
    _, first, last = dockerfile.split("\nFROM ")
    assert len(re.findall(r"^FROM python:3\.11-slim", dockerfile, re.M)) == 2
    assert "pip install" in first
    assert "pip" not in last


def test_every_requirement_has_its_hash(spec):
    lines = deploy.files(spec, "docker")["requirements.txt"].splitlines()
    names = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert names
    assert all("==" in line and line.endswith("\\") for line in names)
    assert "--require-hashes" in deploy.files(spec, "docker")["Dockerfile"]


def test_no_tensorflow_to_serve_onnx_and_with_it_for_keras(spec):
    packages = re.findall(r"^([\w-]+)==", deploy.files(spec, "docker")["requirements.txt"], re.M)
    assert "onnxruntime" in packages
    assert not {"tensorflow", "keras", "jupyterlab"} & set(packages)
    keras = deploy.Spec("clothes", 1, ROOT / "models", "keras", "mlops-lab/clothes:1")
    assert re.search(r"^tensorflow==", deploy.files(keras, "docker")["requirements.txt"], re.M)


def test_a_numeric_user_a_health_check_and_no_shell(spec, dockerfile):
    assert re.search(r"^USER \d{3,}:0$", dockerfile, re.M)
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", dockerfile, re.M)[1])[:3] == ["python", "-m", "mlops_lab"]
    check = json.loads(re.search(r"HEALTHCHECK .*?CMD (\[.*?\])$", dockerfile, re.M | re.S)[1])
    assert "/readyz" in check[-1]
    compile(check[-1], "health", "exec")
    assert "--port" not in docker.entry(spec) and "PORT=8000" in dockerfile  # platforms set another one


def test_only_what_is_copied_is_sent(spec):
    ignored = deploy.files(spec, "docker")[".dockerignore"].splitlines()
    dockerfile = deploy.files(spec, "docker")["Dockerfile"]
    sent = {line[1:] for line in ignored if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(\S+)", dockerfile, re.M))
    assert ignored[1] == "*"
    assert sent == copied == {"requirements.txt", "mlops_lab", "models"}


def test_mounted_models_are_not_copied():
    spec = deploy.make_spec(ROOT / "models", "clothes", mount=True)
    assert "COPY models" not in deploy.files(spec, "docker")["Dockerfile"]
    assert f"source={(ROOT / 'models').resolve()}" in " ".join(docker.options(spec))


def test_the_staged_folder_serves_what_the_store_serves(spec, tmp_path):
    docker.stage(spec, deploy.files(spec, "docker"), tmp_path)
    staged = ModelStore(tmp_path / "models")
    assert staged.aliases("clothes") == {"production": 1}
    assert staged.load("clothes").version == 1
    assert (tmp_path / "mlops_lab/cli/__init__.py").is_file()
    assert not list(tmp_path.rglob("*.gz"))
    if os.name == "posix":
        assert all(path.stat().st_mode & 0o044 == 0o044 for path in tmp_path.rglob("*"))


def test_an_application_of_one_s_own(tmp_path):
    (tmp_path / "api.py").write_text(API)
    spec = deploy.make_spec(ROOT / "models", "clothes", app=tmp_path / "api.py")
    text = deploy.files(spec, "docker")["Dockerfile"]
    assert "COPY api.py /app/api.py" in text and "COPY mlops_lab" not in text
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.M)[1]) == ["python", "/opt/lab/wsgi_server.py", "api"]
    assert re.search(r"^waitress==", deploy.files(spec, "docker")["requirements.txt"], re.M)


def test_the_health_check_asks_without_a_proxy(spec, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serve.start(spec.models, name="health") as server:
        monkeypatch.setenv("PORT", server.url.rpartition(":")[2].rstrip("/"))
        for command in (docker.health_command(spec), ["python", "-c", docker.ASK_TCP]):
            subprocess.run([sys.executable, *command[1:]], check=True)
        assert docker.answers(f"{server.url}/readyz", 5)
    failed = subprocess.run([sys.executable, *docker.health_command(spec)[1:]], capture_output=True, check=False)
    assert failed.returncode


def test_an_application_brings_its_data_files_and_its_packages(tmp_path):
    (tmp_path / "api.py").write_text(API + "import yaml\nLABELS = open('data/labels.json')\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "labels.json").write_text("[]")
    spec = deploy.make_spec(ROOT / "models", "clothes", app=tmp_path / "api.py")
    files = deploy.files(spec, "docker")
    assert "COPY data/labels.json /app/data/labels.json" in files["Dockerfile"]
    assert re.fullmatch(r"pyyaml==\S+\n", files["requirements-app.txt"])
    assert {"!data/labels.json", "!requirements-app.txt", "!wsgi_server.py"} <= set(files[".dockerignore"].splitlines())
    docker.stage(spec, files, tmp_path / "image")
    assert (tmp_path / "image" / "data" / "labels.json").is_file()
    assert (tmp_path / "image" / "wsgi_server.py").is_file()


def test_requirements_beside_an_application_are_installed_as_they_are(tmp_path):
    (tmp_path / "api.py").write_text(API + "import nowhere_installed\n")
    spec = deploy.make_spec(ROOT / "models", "clothes", app=tmp_path / "api.py")
    with pytest.raises(WrongUsage, match="nowhere_installed"):
        deploy.files(spec, "docker")
    (tmp_path / "requirements.txt").write_text("nowhere-installed==1.0")
    files = deploy.files(spec, "docker")
    assert files["requirements-app.txt"] == "nowhere-installed==1.0\n"
    assert "--no-cache-dir -r requirements-app.txt" in files["Dockerfile"]


def test_a_loose_model_file_of_an_application_comes_with_the_models(tmp_path):
    (tmp_path / "api.py").write_text(API + "PATH = 'models/clothes.keras'\n")
    shutil.copytree(ROOT / "models" / "clothes", tmp_path / "models" / "clothes")
    (tmp_path / "models" / "clothes.keras").write_bytes(b"a model")
    spec = deploy.make_spec(tmp_path / "models", "clothes", app=tmp_path / "api.py")
    files = deploy.files(spec, "docker")
    assert "COPY models /models" in files["Dockerfile"] and "clothes.keras" not in files["Dockerfile"]
    docker.stage(spec, files, tmp_path / "image")
    assert (tmp_path / "image" / "models" / "clothes.keras").read_bytes() == b"a model"


def test_a_path_with_a_space_is_quoted(tmp_path):
    (tmp_path / "api.py").write_text(API + "PATH = 'my labels.json'\n")
    (tmp_path / "my labels.json").write_text("[]")
    spec = deploy.make_spec(ROOT / "models", "clothes", app=tmp_path / "api.py")
    assert 'COPY ["my labels.json", "/app/my labels.json"]' in deploy.files(spec, "docker")["Dockerfile"]


def test_an_application_brings_what_it_imports(tmp_path):
    (tmp_path / "api.py").write_text(API + "import model\nfrom mlops_lab import store\n")
    (tmp_path / "model.py").write_text("from tensorflow import keras\n")
    spec = deploy.make_spec(ROOT / "models", "clothes", app=tmp_path / "api.py", mount=True)
    files = deploy.files(spec, "docker")
    copied = re.findall(r"^COPY (?!--)(\S+)", files["Dockerfile"], re.M)
    assert copied == ["requirements.txt", "api.py", "model.py", "mlops_lab", "wsgi_server.py"]
    assert re.search(r"^tensorflow==", files["requirements.txt"], re.M)
    docker.stage(spec, files, tmp_path / "image")
    assert (tmp_path / "image" / "model.py").is_file() and (tmp_path / "image" / "mlops_lab" / "store").is_dir()


def test_scikit_learn_where_there_is_no_onnx():
    files = deploy.files(deploy.Spec("digits", 1, ROOT / "models", "sklearn", "digits:1"), "docker")
    assert re.search(r"^scikit-learn==", files["requirements.txt"], re.M)


def test_an_engine_that_no_image_has():
    with pytest.raises(WrongUsage, match="ray"):
        deploy.files(deploy.Spec("digits", 1, ROOT / "models", "ray", "digits:1"), "docker")


def threads(inputs):
    """Answer the sum of each row, and the number of thread pools, which needs a package that no lock has."""
    return inputs.sum(axis=1) + 0 * len(threadpool_info())


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """A version that is code."""
    store = ModelStore(tmp_path_factory.mktemp("code") / "models")
    return store, store.publish(threads, "sums", examples=np.ones((3, 4), np.float32))


def test_a_model_that_is_code_brings_its_packages_and_the_trust_in_it(code, monkeypatch):
    store, version = code
    monkeypatch.setattr(store_version, "_published_here", set())  # as in another process than the one that published it
    with pytest.raises(UnsafeFile, match=f"--trust {version.digest}"):
        deploy.files(deploy.make_spec(store.root, "sums"), "docker")
    files = deploy.files(deploy.make_spec(store.root, "sums", trusted=[version.digest]), "docker")
    assert files["requirements-app.txt"] == f"threadpoolctl=={metadata.version('threadpoolctl')}\n"  # numpy is locked
    assert "--no-cache-dir --no-deps -r requirements-app.txt" in files["Dockerfile"]
    assert f"\nENV MLOPS_LAB_TRUST={version.digest}\n" in files["Dockerfile"]
    assert "MLOPS_LAB_TRUST" not in deploy.files(deploy.make_spec(ROOT / "models", "clothes"), "docker")["Dockerfile"]


def test_requirements_beside_code_that_are_not_installed_here_are_left_to_pip():
    text = "# a note\n\nNumPy==1.0\nflask>=3\nnowhere-installed[x]>=1.0  # why\n"
    assert lock_requirements(text, "numpy==2.1\nflask==3.1") == ("nowhere-installed[x]>=1.0  # why\n", True)
    (pin,) = lock_requirements(f"threadpoolctl=={metadata.version('threadpoolctl')}", "")[0].splitlines()
    assert pin == f"threadpoolctl=={metadata.version('threadpoolctl')}"


def test_the_locks_agree_with_the_lab():
    """What was trained here is loaded there by the same version."""
    lab = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements" / "lab.txt").read_text("utf-8"), re.M))
    for lock in docker.LOCKS.values():
        text = (docker.REQUIREMENTS / lock).read_text("utf-8")
        pinned = dict(re.findall(r"^(keras|tensorflow|scikit-learn|skops|onnxruntime|flask)==(\S+)", text, re.M))
        assert pinned and pinned.items() <= lab.items()


# With a real engine


def free_port():
    with contextlib.closing(bind("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Build the image once; its requirements come from the package index."""
    assert shutil.which("docker"), "tools/docker_engine.sh brings up an engine"
    spec = deploy.make_spec(ROOT / "models", "clothes", image="mlops-lab/clothes:test", port=free_port())
    docker.build(spec, deploy.files(spec, "docker"), tmp_path_factory.mktemp("image"), network="host")
    return spec


@pytest.fixture
def running(image):
    url = docker.start(image)
    yield url
    subprocess.run(["docker", "rm", "--force", docker.container(image)], capture_output=True, check=False)


@with_engine
def test_the_image_is_small(image):
    size, base = (
        int(said("docker", "image", "inspect", "-f", "{{.Size}}", name)) for name in (image.image, "python:3.11-slim")
    )
    print(f"{(size - base) / 1e6:.0f} MB above the base")
    assert size - base < 300e6


@with_engine
def test_a_container_answers_for_a_model_that_is_code(code, image, tmp_path):  # after the other, whose layers it shares
    store, version = code
    spec = deploy.make_spec(
        store.root, "sums", image="mlops-lab/sums:test", port=free_port(), trusted=(version.digest,)
    )
    docker.build(spec, deploy.files(spec, "docker"), tmp_path, network="host")
    try:
        (answer,) = serve.Client(docker.start(spec)).predict("sums", "v1", [[1, 2, 3, 4]])
        assert answer.value == 10
    finally:
        subprocess.run(["docker", "rm", "--force", docker.container(spec)], capture_output=True, check=False)


@with_engine
def test_the_container_answers_as_the_store_does(image, running):
    images = data.load("fashion-mnist").test.images[:32]
    there = serve.Client(running).classify("clothes", "v1", images)
    here = ModelStore(ROOT / "models").load("clothes").probabilities(images)
    assert np.allclose([item.probabilities for item in there], here, atol=1e-6)


@with_engine
def test_nothing_may_be_written_and_nobody_is_root(image, running):
    name = docker.container(image)
    assert said("docker", "exec", name, "id", "-u") == "10001"
    refused = subprocess.run(["docker", "exec", name, "touch", "/app/x"], capture_output=True, text=True, check=False)
    assert "Read-only file system" in refused.stderr
    inside = json.loads(said("docker", "inspect", "-f", "{{json .HostConfig}}", name))
    assert (inside["CapDrop"], inside["ReadonlyRootfs"]) == (["ALL"], True)


@with_engine
def test_the_health_check_turns_healthy(image, running):
    deadline = time.monotonic() + 40
    while said("docker", "inspect", "-f", "{{.State.Health.Status}}", docker.container(image)) != "healthy":
        assert time.monotonic() < deadline
        time.sleep(0.5)


def send(address, found, ended):
    """Send requests, up to twenty over one connection, and count how each ended; as `benchmarks/endings.py`."""
    body = encode_png(np.zeros((28, 28), np.uint8))
    while not ended.is_set():
        connection = http.client.HTTPConnection(address, 8000, timeout=20)
        try:
            connection.connect()
        except OSError:
            found["refused"] += 1  # after the listener has closed: what a balancer sees and routes around
            return
        with contextlib.closing(connection):
            try:
                for _ in range(random.randrange(1, 20)):
                    connection.request("POST", "/models/clothes/v1", body, {"Content-Type": "image/png"})
                    answer = connection.getresponse()
                    answer.read()
                    found[answer.status] += 1
                    if answer.will_close:
                        break
            except (OSError, http.client.HTTPException) as error:
                found[f"lost: {type(error).__name__}"] += 1


@with_engine
def test_an_orderly_end_loses_no_request(image, running):
    """What was sent on a connection that the server had accepted is answered; no connection is forgiven.

    The clients go to the container itself: before a published port stands Docker's proxy, which accepts a connection
    before it knows whether anybody listens behind.
    """
    name, found, ended = docker.container(image), Counter(), threading.Event()
    address = said("docker", "inspect", "-f", "{{.NetworkSettings.IPAddress}}", name)
    threads = [threading.Thread(target=send, args=(address, found, ended)) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    said("docker", "stop", "--time", "15", name)
    ended.set()
    for thread in threads:
        thread.join()
    print(f"docker stop under load: {dict(found)}")
    assert found[200] > 50
    assert set(found) <= {200, "refused"}
    assert said("docker", "inspect", "-f", "{{.State.ExitCode}}", name) == "0"


@with_engine
def test_it_comes_back_after_a_kill(image, running):
    name = docker.container(image)
    process = int(said("docker", "inspect", "-f", "{{.State.Pid}}", name))
    os.kill(process, 9)
    deadline = time.monotonic() + 30
    while True:
        with contextlib.suppress(LabError):
            if serve.Client(running).classify("clothes", "v1", np.zeros((28, 28), np.uint8)):
                break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert int(said("docker", "inspect", "-f", "{{.RestartCount}}", name)) == 1


def without_onnx(root, name, engine):
    """Copy a shipped version as it would be published without an ONNX export."""
    shutil.copytree(ROOT / "models" / name / "1", root / name / "1")
    version = ModelStore(root).get(name, 1)
    (version.path / "model.onnx").unlink()
    files = {path: entry for path, entry in version.manifest.files.items() if path != "model.onnx"}
    (version.path / "manifest.json").write_text(replace(version.manifest, engine=engine, files=files).to_json())
    return ModelStore(root)


@with_engine
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "engine", "most"), [("clothes", "keras", 2.6e9), ("digits", "sklearn", 6e8)])
def test_an_image_for_models_without_an_onnx_export(tmp_path, name, engine, most):
    models = without_onnx(tmp_path / "models", name, engine)
    spec = deploy.make_spec(models.root, name, image=f"mlops-lab/{name}:{engine}", port=free_port())
    assert spec.engine == engine
    started = time.monotonic()
    docker.build(spec, deploy.files(spec, "docker"), tmp_path / "image", network="host")
    built = time.monotonic() - started
    images = data.load("fashion-mnist" if name == "clothes" else "digits").test.images[:16]
    here = ModelStore(ROOT / "models").load(name).probabilities(images)
    try:
        url = docker.start(spec, seconds=120)
        there = serve.Client(url, timeout=60).classify(name, "v1", images)
        assert np.allclose([item.probabilities for item in there], here, atol=1e-5)
        packages = said("docker", "exec", docker.container(spec), "ls", "/opt/lab/lib/python3.11/site-packages").split()
        assert ("keras" in packages, "sklearn" in packages) == (engine == "keras", engine == "sklearn")
    finally:
        subprocess.run(["docker", "rm", "--force", docker.container(spec)], capture_output=True, check=False)
    size = int(said("docker", "image", "inspect", "-f", "{{.Size}}", spec.image))
    print(f"{engine}: {size / 1e6:.0f} MB, built in {built:.0f} s")
    assert size < most


@pytest.fixture
def registry(tmp_path):
    """A registry of images on this machine."""
    port = free_port()
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (tmp_path / "config.yml").write_text(json.dumps(settings))
    server = subprocess.Popen(
        ["docker-registry", "serve", tmp_path / "config.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert docker.answers(f"http://127.0.0.1:{port}/v2/", seconds=20)
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait(20)


@with_engine
def test_what_is_pushed_can_be_pulled(image, registry):
    name = f"{registry}/clothes:1"
    said("docker", "tag", image.image, name)
    pinned = docker.push(name)
    assert re.fullmatch(rf"{registry}/clothes@sha256:[0-9a-f]{{64}}", pinned)
    identity = said("docker", "image", "inspect", "-f", "{{.Id}}", image.image)
    said("docker", "image", "rm", name)
    said("docker", "pull", "--quiet", pinned)
    try:
        assert said("docker", "image", "inspect", "-f", "{{.Id}}", pinned) == identity
    finally:
        said("docker", "image", "rm", pinned)


@with_engine
def test_mounted_models_are_served_and_promotions_reach_the_container(image, tmp_path):
    models = ModelStore(shutil.copytree(ROOT / "models", tmp_path / "models"))
    spec = deploy.make_spec(models.root, "clothes", image="mlops-lab/clothes:mounted", port=free_port(), mount=True)
    docker.build(spec, deploy.files(spec, "docker"), tmp_path / "image", network="host")
    client = serve.Client(docker.start(spec))
    try:
        models.promote("clothes", 1, "tried")
        deadline = time.monotonic() + 20
        while "tried" not in str(client.models()):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert client.classify("clothes", "tried", np.zeros((28, 28), np.uint8))
    finally:
        subprocess.run(["docker", "rm", "--force", docker.container(spec)], capture_output=True, check=False)


@with_engine
def test_an_application_of_one_s_own_runs(image, tmp_path):
    (tmp_path / "api.py").write_text(API)
    spec = deploy.make_spec(
        ROOT / "models", "clothes", app=tmp_path / "api.py", image="mlops-lab/api:test", port=free_port(), mount=True
    )
    docker.build(spec, deploy.files(spec, "docker"), tmp_path / "image", network="host")
    url = docker.start(spec)
    try:
        assert json.loads(said("curl", "-s", url)) == {"mine": True}
        docker.stop(spec)
    finally:
        subprocess.run(["docker", "rm", "--force", docker.container(spec)], capture_output=True, check=False)
