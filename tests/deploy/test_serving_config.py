import pytest

from mlops_lab.deploy.serving_config import check


def config(policy="", labels="", name="m", path="/models/m"):
    return (
        "model_config_list { config { "
        f"name: '{name}' base_path: '{path}' model_version_policy {{ {policy} }} {labels} }} }}"
    )


def label(number):
    return f"version_labels {{ key: 'production' value: {number} }}"


@pytest.mark.parametrize(
    ("text", "numbers", "rules"),
    [
        (config(), [1, 2], []),
        (config(path="/models/m/"), [1], []),
        (config(labels=label(2)), [1, 2], []),  # the newest is loaded where no policy is given
        (config(labels=label(1)), [1, 2], ["label-unserved"]),
        (config("latest { num_versions: 2 }", label(1)), [1, 2], []),
        (config("all {}", label(1)), [1, 2], []),
        (config("specific { versions: 1 versions: 3 }", label(2)), [1, 2], ["version-missing", "label-unserved"]),
        (config(path="/models/other"), [1], ["base-path"]),
        (config(name="other"), [1], ["not-configured"]),
        (config(name=""), [1], ["bad-config"]),
        ("", [1], ["not-configured"]),
        ("{", [1], ["bad-config"]),
    ],
)
def test_the_rules(text, numbers, rules):
    found = list(check(text, "m", numbers))
    assert [finding.name for finding in found] == rules
    assert all(f.passed is False and f.place == "models.config" and f.hint.endswith(".") for f in found)
