import pytest

from mlops_lab.deploy.lint import check, names
from mlops_lab.deploy.lint.reading import read


def found(rule, text, path="a.yaml"):
    return [message for _, message, _ in rule(read({path: text}))]


@pytest.mark.parametrize(
    ("kind", "name", "good"),
    [
        ("Service", "clothes", True), ("Service", "1clothes", False), ("Service", "a.b", False),
        ("Service", "a" * 64, False), ("ConfigMap", "1.a-b", True), ("ConfigMap", "A", False),
        ("ConfigMap", "a_b", False),
    ],
)  # fmt: skip
def test_names(kind, name, good):
    assert (found(names.bad_name, f"{{kind: {kind}, metadata: {{name: {name}}}}}") == []) is good


@pytest.mark.parametrize(("value", "good"), [('"3"', True), ("stable", True), ("3", False), ("true", False)])
def test_labels_are_text(value, good):
    text = f"{{kind: Service, metadata: {{name: a, labels: {{track: {value}}}}}}}"
    assert (found(names.label_not_text, text) == []) is good


def test_the_same_name_in_two_namespaces_is_no_duplicate():
    text = "{kind: Service, metadata: {name: a, namespace: %s}}"
    assert not found(names.duplicate_object, f"{text % 'x'}\n---\n{text % 'y'}")
    assert found(names.duplicate_object, f"{text % 'x'}\n---\n{text % 'x'}")


def test_a_remote_resource_is_not_looked_up():
    text = "resources: ['https://example.com/a.yaml', missing.yaml]"
    assert found(names.unknown_file, text, "kustomization.yaml") == ["It names 'missing.yaml', which does not exist."]


def test_an_optional_config_map_may_be_missing():
    text = "{kind: Pod, metadata: {name: a}, spec: {containers: [{name: b, envFrom: [{configMapRef: {name: c%s}}]}]}}"
    assert "unknown-config" in check({"a.yaml": text % ""}).rules
    assert "unknown-config" not in check({"a.yaml": text % ", optional: true"}).rules
