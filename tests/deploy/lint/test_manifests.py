import pytest

from mlops_lab.deploy.lint.manifests import KubernetesObject, Manifests, at, holds, rows, shown, table, things


@pytest.mark.parametrize("node", [None, 1, "text", [], [{}], {}, {"spec": None}, {"spec": [1]}, {"spec": {"a": 1}}])
def test_a_path_that_is_not_there_is_empty(node):
    assert at(node, "spec", "ports") is None
    assert (table(node, "spec", "ports"), rows(node, "spec", "ports"), things(node, "spec", "ports")) == ({}, [], [])


def test_rows_are_the_dictionaries_of_a_list():
    assert rows({"a": [1, {"b": 2}, None]}, "a") == [{"b": 2}] and things({"a": [1, 2]}, "a") == [1, 2]


def test_selectors():
    labels = {"app": "clothes", "track": "stable"}
    assert holds(labels, {"app": "clothes"}) and holds(labels, {})
    assert not holds(labels, {"app": "digits"}) and not holds(None, {"app": "clothes"})
    assert shown(labels) == "app=clothes, track=stable" and shown({}) == "(none)"


def deployment(name, labels, *, space="", replicas=None):
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {}}}
    metadata = {"name": name, **({"namespace": space} if space else {})}
    return KubernetesObject(
        "a.yaml", {"kind": "Deployment", "metadata": metadata, "spec": spec | {"replicas": replicas}}
    )


def scaler(name, least):
    target = {"kind": "Deployment", "name": name}
    body = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": name}}
    return KubernetesObject("a.yaml", {**body, "spec": {"scaleTargetRef": target, "minReplicas": least}})


def manifests(*objects):
    return Manifests(objects, (), {}, frozenset())


def test_pods_are_selected_within_their_namespace():
    here, there = deployment("a", {"app": "m"}), deployment("b", {"app": "m"}, space="other")
    found = manifests(here, there)
    assert [pod.owner for pod in found.selected_by_labels(here, {"app": "m"})] == [here]
    assert found.named("Deployment", "b", "other") is there and found.named("Deployment", "b", "") is None


def test_the_minimum_of_pods_is_the_autoscalers_where_there_is_one():
    plain, scaled = deployment("a", {}, replicas=3), deployment("b", {})
    found = manifests(plain, scaled, scaler("b", 2))
    assert [found.min_replicas(item) for item in (plain, scaled)] == [3, 2]
    assert manifests(scaled).min_replicas(scaled) == 1


def test_a_cron_job_has_a_pod_that_does_not_serve():
    template = {"spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "b"}]}}
    job = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}}
    (pod,) = manifests(KubernetesObject("a.yaml", job)).pods
    assert not pod.serves and [box["name"] for box in pod.every_container] == ["a", "b"]
