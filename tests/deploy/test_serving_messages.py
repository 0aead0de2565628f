"""The messages are TensorFlow Serving's: its text format is parsed, and its bytes are written."""

import sys

import pytest

from mlops_lab.deploy import serving_messages
from mlops_lab.deploy.serving_messages import message_class, parse_config
from mlops_lab.errors import MissingPackage, WrongUsage

CONFIG = """
# a comment with { and '
model_config_list {
  config { name: "a # no comment" base_path: '/models/a' model_platform: 'tensorflow' }
  config < name: "b", model_version_policy: { latest { num_versions: 2 } }; version_labels { key: 'x' value: 3 } >
}
"""


def test_the_text_format():
    first, second = parse_config(CONFIG).model_config_list.config
    assert (first.name, first.base_path) == ("a # no comment", "/models/a")
    assert second.model_version_policy.latest.num_versions == 2
    assert [(label.key, label.value) for label in second.version_labels] == [("x", 3)]


def test_fields_that_are_not_listed_are_skipped():
    text = "model_config_list { config { name: 'a' logging_config { sampling_config { sampling_rate: 0.1 } } } }"
    assert parse_config(text).model_config_list.config[0].name == "a"


@pytest.mark.parametrize(
    "text", ["model_config_list {", "\nmodel_config_list { config { name: 'x", "model_config_list: 5", "@", "a } b"]
)
def test_text_that_cannot_be_parsed_is_refused_with_its_line(text):
    with pytest.raises(WrongUsage, match="cannot be parsed"):
        parse_config(text)


def test_the_line_is_named():
    with pytest.raises(WrongUsage, match="3:"):
        parse_config("model_config_list {\n  config {\n    name: clothes }}")


def test_bytes_are_those_of_the_wire_format():
    request = message_class("PredictRequest")()
    request.model_spec.name = "m"
    request.inputs.add(key="x").value.dtype = 1
    assert request.SerializeToString() == b"\x0a\x03\x0a\x01m" + b"\x12\x07\x0a\x01x\x12\x02\x08\x01"


def test_without_protobuf_the_error_holds_the_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.protobuf.message_factory", None)
    message_class.cache_clear()
    try:
        with pytest.raises(MissingPackage, match="pip install protobuf"):
            parse_config("")
    finally:
        message_class.cache_clear()


@pytest.mark.parametrize("name", serving_messages.FIELDS)
def test_every_message_can_be_made(name):
    assert message_class(name)().SerializeToString() == b""
