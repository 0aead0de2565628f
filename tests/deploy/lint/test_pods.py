import pytest

from mlops_lab.deploy.lint import pods
from mlops_lab.deploy.lint.manifests import KubernetesObject, Pod


def pod(*, kind="Deployment", spec=None, **container):
    template = {"spec": {"containers": [{"name": "server", **container}], **(spec or {})}}
    return Pod(KubernetesObject("a.yaml", {"kind": kind, "metadata": {"name": "a"}}), template)


@pytest.mark.parametrize(
    ("image", "problems"),
    [
        ("clothes:1", 0),
        ("registry.example.com:5000/clothes:1", 0),
        ("clothes@sha256:4bf9", 0),
        ("clothes", 1),
        ("clothes:latest", 1),
        ("registry.example.com:5000/clothes", 1),
    ],
)
def test_tags(image, problems):
    assert len(list(pods.latest_tag(pod(image=image)))) == problems


def test_a_job_needs_no_probes_and_no_pre_stop():
    assert len(list(pods.missing_probe(pod()))) == 3 and not list(pods.missing_probe(pod(kind="Job")))
    assert list(pods.missing_pre_stop(pod())) and not list(pods.missing_pre_stop(pod(kind="Job")))


@pytest.mark.parametrize(("grace", "pause", "short"), [(30, 5, False), (16, 5, False), (15, 5, True), (30, 20, True)])
def test_the_grace_period_covers_pre_stop_and_drain(grace, pause, short):
    lifecycle = {"preStop": {"sleep": {"seconds": pause}}}
    found = list(pods.short_grace(pod(spec={"terminationGracePeriodSeconds": grace}, lifecycle=lifecycle)))
    assert bool(found) is short


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", 0.25),
        ("1", 1),
        (2, 2),
        ("1.5", 1.5),
        ("1Ki", 1024),
        ("1k", 1000),
        ("2Gi", 2**31),
        ("", None),
        (None, None),
    ],
)
def test_quantities(text, number):
    assert pods.quantity(text) == number


def test_a_request_above_its_limit():
    resources = {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1Gi"}}
    ((message, hint),) = pods.requests_above_limits(pod(resources=resources))
    assert message == "It requests 2 of cpu, and its limit is 1500m." and hint == "Raise the limit."
