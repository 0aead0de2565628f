"""The shipped files pass, and one change to them is found by the one rule that is for it."""

import copy
import json
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_lab.deploy import lint, render
from mlops_lab.deploy.lint.pods import DRAIN_SECONDS
from mlops_lab.deploy.spec import Spec
from mlops_lab.errors import MissingPackage
from mlops_lab.serve import Limits

GONE = "gone"  # a word, so that the ids of the tests are the same in every process
POD = "spec template spec"
BOX = f"{POD} containers 0"
DEPLOYMENT = "base/deployment.yaml"
PLAIN_CONFIG = {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "clothes-settings", "key": "NO_SUCH_KEY"}}}
OPTIONAL_KEY = {"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key", "optional": True}}}
TWIN = {"app.kubernetes.io/name": "clothes", "track": "stable"}

# rule, file, where in it (keys by spaces), what to write there
MUTATIONS = [
    ("latest-tag", DEPLOYMENT, f"{BOX} image", "registry.example.com/clothes"),
    ("latest-tag", DEPLOYMENT, f"{BOX} image", "registry.example.com:5000/clothes:latest"),
    ("missing-probe", DEPLOYMENT, f"{BOX} startupProbe", GONE),
    ("missing-probe", DEPLOYMENT, f"{BOX} readinessProbe", GONE),
    ("missing-probe", DEPLOYMENT, f"{BOX} livenessProbe", GONE),
    ("probe-port-unknown", DEPLOYMENT, f"{BOX} startupProbe httpGet port", "htpp"),
    ("probe-port-unknown", DEPLOYMENT, f"{BOX} livenessProbe httpGet port", 8001),
    ("liveness-asks-readiness", DEPLOYMENT, f"{BOX} livenessProbe httpGet path", "/readyz"),
    ("readiness-asks-liveness", DEPLOYMENT, f"{BOX} readinessProbe", {"httpGet": {"path": "/healthz", "port": "http"}}),
    ("missing-requests", DEPLOYMENT, f"{BOX} resources requests memory", GONE),
    ("missing-limits", DEPLOYMENT, f"{BOX} resources limits", GONE),
    ("missing-limits", DEPLOYMENT, f"{BOX} resources limits memory", GONE),
    ("requests-above-limits", DEPLOYMENT, f"{BOX} resources requests cpu", "1500m"),
    ("requests-above-limits", DEPLOYMENT, f"{BOX} resources limits memory", "128Mi"),
    ("missing-pre-stop", DEPLOYMENT, f"{BOX} lifecycle", GONE),
    ("short-grace", DEPLOYMENT, f"{POD} terminationGracePeriodSeconds", 15),
    ("short-grace", DEPLOYMENT, f"{BOX} lifecycle preStop sleep seconds", 20),
    ("rollout-drops-pods", DEPLOYMENT, "spec strategy rollingUpdate maxUnavailable", 1),
    ("rollout-drops-pods", DEPLOYMENT, "spec strategy", {"type": "Recreate"}),
    ("rollout-drops-pods", DEPLOYMENT, "spec strategy", GONE),
    ("crowded-node", DEPLOYMENT, f"{POD} topologySpreadConstraints", GONE),
    ("runs-as-root", DEPLOYMENT, f"{POD} securityContext runAsNonRoot", GONE),
    ("runs-as-root", DEPLOYMENT, f"{POD} securityContext runAsUser", 0),
    ("runs-as-root", DEPLOYMENT, f"{POD} securityContext runAsUser", "nobody"),
    ("runs-as-root", DEPLOYMENT, f"{BOX} securityContext runAsNonRoot", False),
    ("missing-seccomp", DEPLOYMENT, f"{POD} securityContext seccompProfile", GONE),
    ("missing-seccomp", DEPLOYMENT, f"{BOX} securityContext seccompProfile", {"type": "Unconfined"}),
    ("keeps-capabilities", DEPLOYMENT, f"{BOX} securityContext capabilities", GONE),
    ("keeps-capabilities", DEPLOYMENT, f"{BOX} securityContext capabilities drop", ["NET_RAW"]),
    ("privilege-escalation", DEPLOYMENT, f"{BOX} securityContext allowPrivilegeEscalation", GONE),
    ("writable-root", DEPLOYMENT, f"{BOX} securityContext readOnlyRootFilesystem", GONE),
    ("nowhere-to-write", DEPLOYMENT, f"{BOX} volumeMounts", GONE),
    ("shares-the-host", DEPLOYMENT, f"{POD} hostNetwork", True),
    ("shares-the-host", DEPLOYMENT, f"{POD} volumes 0", {"name": "tmp", "hostPath": {"path": "/tmp"}}),
    ("shares-the-host", DEPLOYMENT, f"{BOX} securityContext privileged", True),
    ("token-mounted", DEPLOYMENT, f"{POD} automountServiceAccountToken", GONE),
    ("optional-key", DEPLOYMENT, f"{BOX} env", [OPTIONAL_KEY]),
    ("plain-secret", DEPLOYMENT, f"{BOX} env", [{"name": "MLOPS_LAB_API_KEY", "value": "opensesame"}]),
    ("unknown-file", "base/kustomization.yaml", "resources 0", "name-space.yaml"),
    ("unknown-file", "overlays/prod/kustomization.yaml", "resources 0", "../../bas"),
    ("bad-name", "base/pdb.yaml", "metadata name", "Clothes_1"),
    ("bad-name", "components/models-volume/claim.yaml", "metadata name", "models\n"),
    ("duplicate-object", "base/serviceaccount.yaml", "", [("ServiceAccount", "clothes")] * 2),
    ("label-not-text", DEPLOYMENT, "spec template metadata labels version", 3),
    ("unknown-volume", DEPLOYMENT, f"{BOX} volumeMounts 0 name", "temp"),
    ("unknown-config", DEPLOYMENT, f"{BOX} envFrom 0 configMapRef name", "clothes-setting"),
    ("unknown-config", DEPLOYMENT, f"{BOX} env", [PLAIN_CONFIG]),
    ("unknown-service-account", DEPLOYMENT, f"{POD} serviceAccountName", "cloths"),
    ("selector-misses-own-pods", DEPLOYMENT, "spec selector matchLabels track", "canary"),
    ("service-selects-nothing", "base/service.yaml", "spec selector app.kubernetes.io/name", "cloths"),
    ("service-port-unknown", "base/service.yaml", "spec ports 0 targetPort", 8080),
    ("ingress-to-nowhere", "base/ingress.yaml", "spec rules 0 http paths 0 backend service name", "cloths"),
    ("ingress-to-nowhere", "base/ingress.yaml", "spec rules 0 http paths 0 backend service port name", "web"),
    ("ingress-without-tls", "base/ingress.yaml", "spec rules 0 host", "clothes.example.com"),
    (
        "missing-network-policy",
        "base/networkpolicy.yaml",
        "spec podSelector matchLabels app.kubernetes.io/name",
        "shoes",
    ),
    ("missing-network-policy", "base/networkpolicy.yaml", "spec policyTypes", ["Ingress"]),
    ("open-network-policy", "base/networkpolicy.yaml", "spec ingress 0", {}),
    ("open-network-policy", "base/networkpolicy.yaml", "spec egress 0 to", GONE),
    ("policy-port-unknown", "base/networkpolicy.yaml", "spec ingress 0 ports 0 port", 80),
    ("hpa-without-request", "base/hpa.yaml", "spec metrics 0 resource name", "nvidia.com/gpu"),
    ("hpa-bounds", "base/hpa.yaml", "spec maxReplicas", 1),
    ("replicas-beside-hpa", DEPLOYMENT, "spec replicas", 3),
    ("pdb-selects-nothing", "base/pdb.yaml", "spec selector matchLabels app.kubernetes.io/name", "cloths"),
    ("pdb-blocks-drains", "base/pdb.yaml", "spec minAvailable", 2),
    ("pdb-blocks-drains", "base/pdb.yaml", "spec", {"maxUnavailable": 0, "selector": {"matchLabels": TWIN}}),
    ("pdb-blocks-drains", "base/hpa.yaml", "spec minReplicas", 1),
]


@pytest.fixture(scope="session")
def files():
    spec = Spec("clothes", 1, Path("models"), engine="onnx", image="clothes:1")
    return dict(render.files(spec, "kubernetes"))


def change(body, where, what):
    """Write something at a place in a document, or take away what is there."""
    *way, last = (int(key) if key.isdigit() else key for key in where.split())
    for key in way:
        body = body[key]
    if what is GONE:
        del body[last]
    else:
        body[last] = what


def mutated(files, path, where, what):
    if not where:
        text = yaml.safe_dump_all([{"kind": kind, "metadata": {"name": name}} for kind, name in what])
    else:
        body = yaml.safe_load(files[path])
        change(body, where, what)
        text = yaml.safe_dump(body)
    return {**files, path: text}


def test_the_shipped_files_pass(files):
    found = lint.check(files)
    assert found.passed and found.objects == 10, str(found)


@pytest.mark.parametrize(("rule", "path", "where", "what"), MUTATIONS, ids=lambda value: str(value)[:50])
def test_one_change_is_found_by_one_rule(files, rule, path, where, what):
    found = lint.check(mutated(files, path, where, what))
    assert found.rules == {rule}, str(found)
    assert all(item.place.startswith(f"{path}: ") or rule in ELSEWHERE for item in found.findings)


ELSEWHERE = {"missing-network-policy", "pdb-blocks-drains"}  # said of the pod, or of the budget


def test_an_autoscaler_of_nothing_is_found(files):
    hpa = yaml.safe_load(files["base/hpa.yaml"])
    hpa["metadata"]["name"] = "second"
    hpa["spec"]["scaleTargetRef"]["name"] = "cloths"
    found = lint.check({**files, "base/second.yaml": yaml.safe_dump(hpa)})
    assert found.rules == {"hpa-target-missing"} and "Did you mean 'clothes'?" in str(found)


def test_a_canary_without_a_track_of_its_own_takes_the_pods_of_the_stable_version(files):
    canary = yaml.safe_load(files[DEPLOYMENT])
    canary["metadata"]["name"] = "clothes-canary"
    found = lint.check({**files, "base/canary.yaml": yaml.safe_dump(canary)})
    assert found.rules == {"selectors-overlap"} and len(found.findings) == 2


def test_what_is_not_yaml_is_a_finding(files):
    found = lint.check({**files, "base/pdb.yaml": "kind: [PodDisruptionBudget"})
    assert found.rules == {"not-yaml"} and not found.passed


def test_every_rule_has_a_change_that_it_finds():
    changed = {rule for rule, *_ in MUTATIONS} | {"hpa-target-missing", "selectors-overlap", "not-yaml"}
    assert changed == set(lint.rules())


def test_every_rule_has_a_reason():
    assert all(reason.endswith(".") and "\n" not in reason for reason in lint.rules().values())


def test_the_docs_list_every_rule_and_its_reason():
    page = Path(lint.__file__).parents[3] / "docs" / "deploy.md"
    text = page.read_text(encoding="utf-8")
    assert not [rule for rule, why in lint.rules().items() if f"| `{rule}` | {why} |" not in text]


def test_no_objects_do_not_pass():
    assert not lint.check({}).passed
    assert not lint.check({"README.md": "# Hello"}).passed


def test_a_file_of_several_objects_is_read_and_patches_are_not(files):
    whole = "---\n".join(text for path, text in files.items() if path.startswith("base/") and "kustom" not in path)
    config = yaml.safe_dump({"kind": "ConfigMap", "metadata": {"name": "clothes-settings"}, "data": {}})
    assert lint.check({"all.yaml": f"{whole}---\n{config}"}).passed
    patch = {"overlays/prod/kustomization.yaml": "patches: [{path: more.yaml}]", "overlays/prod/more.yaml": "a: [b]"}
    assert lint.check({**files, **patch}).rules == {"not-yaml"}  # an unreadable patch is still said
    patch["overlays/prod/more.yaml"] = "kind: Deployment\nmetadata: {name: clothes}"
    assert lint.check({**files, **patch}).passed


def test_the_drain_is_that_of_the_server():
    assert Limits().drain_seconds == DRAIN_SECONDS


def test_findings_have_three_faces(files):
    found = lint.check(mutated(files, DEPLOYMENT, f"{BOX} image", "<b>clothes</b>"))
    assert (
        "base/deployment.yaml: Deployment clothes: latest-tag: The image '<b>clothes</b>' has no version tag."
        in str(found)
    )
    assert json.loads(json.dumps(found.to_dict()))["findings"][0]["name"] == "latest-tag"
    assert "&lt;b&gt;" in found._repr_html_() and "<b>clothes" not in found._repr_html_()
    assert "no problems in 10" in lint.check(files)._repr_html_()


def test_without_pyyaml_the_error_holds_the_install_line(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingPackage, match="pip install pyyaml"):
        lint.check(files)


JUNK = [None, 0, -1, True, 1.5, "", "x", [], [None], [[]], [{"a": []}], {}, {"a": 1}]


def places(node, way=()):
    yield way
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, (*way, key))


@settings(deadline=None, max_examples=100)
@given(
    data=st.data(), junk=st.sampled_from([None, 0, -1, True, "", "x", [], [None], {}, {"a": 1}, [[]], [{"a": []}], 1.5])
)
def test_nothing_that_a_file_says_breaks_the_linter(files, data, junk):
    path = data.draw(st.sampled_from(sorted(path for path in files if path.endswith(".yaml"))))
    body = yaml.safe_load(files[path])
    way = data.draw(st.sampled_from([way for way in places(body) if way]))
    node = body = copy.deepcopy(body)
    for key in way[:-1]:
        node = node[key]
    node[way[-1]] = junk
    assert lint.check({**files, path: yaml.safe_dump(body)}).to_dict()
