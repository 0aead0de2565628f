import pytest

from mlops_lab.deploy.lint import security
from mlops_lab.deploy.lint.manifests import KubernetesObject, Pod


def pod(*, spec=None, **container):
    template = {"spec": {"containers": [{"name": "server", **container}], **(spec or {})}}
    return Pod(KubernetesObject("a.yaml", {"kind": "Deployment", "metadata": {"name": "a"}}), template)


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        ({"runAsNonRoot": True}, ""),  # the image's user, or the one that OpenShift assigns
        ({"runAsNonRoot": True, "runAsUser": 10001}, ""),
        ({"runAsNonRoot": True, "runAsUser": 0}, "0, which runAsNonRoot rejects"),
        ({"runAsNonRoot": True, "runAsUser": "app"}, "'app', which runAsNonRoot rejects"),
        ({"runAsNonRoot": False, "runAsUser": 10001}, "may run as root"),
        ({}, "may run as root"),
    ],
)
@pytest.mark.parametrize("level", ["pod", "container"])
def test_root(context, problem, level):
    item = pod(spec={"securityContext": context}) if level == "pod" else pod(securityContext=context)
    found = list(security.runs_as_root(item))
    assert bool(found) is bool(problem) and all(problem in message for message, _ in found)


def test_the_container_takes_precedence_over_the_pod():
    spec = {"securityContext": {"runAsNonRoot": True}}
    assert list(security.runs_as_root(pod(spec=spec, securityContext={"runAsNonRoot": False})))


def variable(name, **reference):
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", **reference}}}]


def test_a_secret_key_must_not_be_optional():
    assert list(security.optional_key(pod(env=variable("MLOPS_LAB_API_KEY", optional=True))))
    assert not list(security.optional_key(pod(env=variable("MLOPS_LAB_API_KEY"))))
    assert not list(security.optional_key(pod(env=variable("LEVEL", optional=True))))


@pytest.mark.parametrize(("name", "found"), [("API_KEY", 1), ("db_password", 1), ("KEYBOARD", 0), ("LEVEL", 0)])
def test_a_secret_in_the_file(name, found):
    assert len(list(security.plain_secret(pod(env=[{"name": name, "value": "x"}])))) == found
