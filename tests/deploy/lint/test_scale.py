import pytest
import yaml

from mlops_lab.deploy.lint import scale
from mlops_lab.deploy.lint.reading import read


def objects(*, replicas=None, budget=None, bounds=None):
    labels = {"app": "m"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template} | ({"replicas": replicas} if replicas else {})
    items = [{"kind": "Deployment", "metadata": {"name": "m"}, "spec": spec}]
    if budget:
        spec = {**budget, "selector": {"matchLabels": labels}}
        items.append({"kind": "PodDisruptionBudget", "metadata": {"name": "m"}, "spec": spec})
    if bounds:
        spec = {
            "scaleTargetRef": {"kind": "Deployment", "name": "m"},
            "minReplicas": bounds[0],
            "maxReplicas": bounds[1],
        }
        items.append({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "m"}, "spec": spec})
    return read({"a.yaml": yaml.safe_dump_all(items)})


@pytest.mark.parametrize(
    ("budget", "replicas", "blocked"),
    [
        ({"minAvailable": 1}, 2, False),
        ({"minAvailable": 2}, 2, True),
        ({"minAvailable": "100%"}, 5, True),
        ({"maxUnavailable": 1}, 1, False),
        ({"maxUnavailable": 0}, 5, True),
        ({"maxUnavailable": "0%"}, 5, True),
    ],
)
def test_a_budget_allows_an_eviction(budget, replicas, blocked):
    assert bool(list(scale.pdb_blocks_drains(objects(replicas=replicas, budget=budget)))) is blocked


def test_the_autoscalers_minimum_counts():
    assert list(scale.pdb_blocks_drains(objects(budget={"minAvailable": 2}, bounds=(2, 8))))
    assert not list(scale.pdb_blocks_drains(objects(budget={"minAvailable": 2}, bounds=(3, 8))))


@pytest.mark.parametrize(("bounds", "problem"), [((1, 1), False), ((2, 8), False), ((3, 2), True), (("a", 2), True)])
def test_the_bounds(bounds, problem):
    assert bool(list(scale.hpa_bounds(objects(bounds=bounds)))) is problem


def test_replicas_beside_an_autoscaler():
    assert list(scale.replicas_beside_hpa(objects(replicas=2, bounds=(2, 8))))
    assert not list(scale.replicas_beside_hpa(objects(replicas=2)))
