import pytest
import yaml

from mlops_lab.deploy.lint import traffic
from mlops_lab.deploy.lint.reading import read

LABELS = {"app": "m"}


def objects(*more):
    container = {"name": "a", "ports": [{"name": "http", "containerPort": 8000}]}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": LABELS}, "template": template}
    deployment = {"kind": "Deployment", "metadata": {"name": "m"}, "spec": spec}
    return read({"a.yaml": yaml.safe_dump_all([deployment, *more])})


def service(port):
    spec = {"selector": LABELS, "ports": [{"name": "web", "port": 80, **({"targetPort": port} if port else {})}]}
    return {"kind": "Service", "metadata": {"name": "m"}, "spec": spec}


@pytest.mark.parametrize(("port", "good"), [("http", True), (8000, True), ("web", False), (80, False), (None, False)])
def test_the_target_port(port, good):
    assert (list(traffic.service_port_unknown(objects(service(port)))) == []) is good


def ingress(host="m.localhost", tls=(), name="m", port=None):
    backend = {"service": {"name": name, "port": port or {"name": "web"}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "backend": backend}]}}
    spec = {"rules": [rule], **({"tls": [{"hosts": list(tls)}]} if tls else {})}
    return {"kind": "Ingress", "metadata": {"name": "m"}, "spec": spec}


@pytest.mark.parametrize(
    ("settings", "good"),
    [({}, True), ({"port": {"number": 80}}, True), ({"port": {"number": 81}}, False), ({"name": "n"}, False)],
)
def test_the_backend_of_an_ingress(settings, good):
    assert (list(traffic.ingress_to_nowhere(objects(service("http"), ingress(**settings)))) == []) is good


@pytest.mark.parametrize(
    ("host", "tls", "good"),
    [
        ("m.localhost", (), True),
        ("m.example", ("m.example",), True),
        ("m.example", (), False),
        ("m.example", ("n",), False),
    ],
)
def test_tls(host, tls, good):
    assert (list(traffic.ingress_without_tls(objects(ingress(host, tls)))) == []) is good


def policy(**spec):
    body = {"podSelector": {"matchLabels": LABELS}, **spec}
    return {"kind": "NetworkPolicy", "metadata": {"name": "m"}, "spec": body}


def test_a_policy_for_both_directions():
    def missing(*more):
        return [message for _, message, _ in traffic.missing_network_policy(objects(*more))]

    assert len(missing()) == 2
    assert missing(policy(policyTypes=["Ingress"])) == ["No NetworkPolicy limits its egress."]
    assert missing(policy(policyTypes=["Ingress", "Egress"])) == []


@pytest.mark.parametrize(
    ("spec", "problems"),
    [
        ({"ingress": [{"ports": [{"port": 8000}]}]}, 0),
        ({"ingress": [{}]}, 1),
        ({"egress": [{"ports": [{"port": 53}], "to": [{}]}]}, 0),
        ({"egress": [{"ports": [{"port": 53}]}]}, 1),
    ],
)
def test_rules_that_allow_everything(spec, problems):
    assert len(list(traffic.open_network_policy(objects(policy(**spec))))) == problems
