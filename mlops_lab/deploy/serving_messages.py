"""The protobuf messages of TensorFlow Serving that the deployment reads and writes, with its names and numbers.

Only the fields that are used here are listed; unknown fields of a file are skipped. protobuf builds the classes from
this list, so neither TensorFlow nor generated code is needed. A map is listed as the repeated message that it is on the
wire and in the text format.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from mlops_lab.errors import MissingPackage, WrongUsage

FIELDS = {
    # model_server_config.proto, file_system_storage_path_source.proto
    "ModelServerConfig": ("ModelConfigList model_config_list = 1",),
    "ModelConfigList": ("repeated ModelConfig config = 1",),
    "ModelConfig": (
        "string name = 1",
        "string base_path = 2",
        "Policy model_version_policy = 7",
        "repeated VersionLabel version_labels = 8",
    ),
    "VersionLabel": ("string key = 1", "int64 value = 2"),
    "Policy": ("Latest latest = 100", "All all = 101", "Specific specific = 102"),
    "Latest": ("uint32 num_versions = 1",),
    "All": (),
    "Specific": ("repeated int64 versions = 1",),
    # prediction_log.proto, predict.proto, model.proto, tensor.proto, tensor_shape.proto
    "PredictionLog": ("PredictLog predict_log = 6",),
    "PredictLog": ("PredictRequest request = 1",),
    "PredictRequest": ("ModelSpec model_spec = 1", "repeated NamedTensor inputs = 2"),
    "ModelSpec": ("string name = 1", "string signature_name = 3"),
    "NamedTensor": ("string key = 1", "Tensor value = 2"),
    "Tensor": ("int32 dtype = 1", "TensorShape tensor_shape = 2", "bytes tensor_content = 4"),
    "TensorShape": ("repeated Dimension dim = 2",),
    "Dimension": ("int64 size = 1",),
}
PACKAGE = "mlops_lab.serving"


@cache
def message_class(name: str) -> Any:
    r"""Return the protobuf class of a message in :data:`FIELDS`.

    Raises
    ------
    MissingPackage
        protobuf is not installed.

    Examples
    --------
    >>> message_class("ModelSpec")(name="clothes").SerializeToString()
    b'\n\x07clothes'
    """
    try:
        from google.protobuf.message_factory import GetMessageClass
    except ModuleNotFoundError as error:
        raise MissingPackage("protobuf is not installed.", "pip install protobuf") from error
    return GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def parse_config(text: str) -> Any:
    """Parse the text of a ``models.config`` into a ``ModelServerConfig``.

    Raises
    ------
    WrongUsage
        The text is not in protobuf's text format, or a field has the wrong type; the message names the line.
    MissingPackage
        protobuf is not installed.

    Examples
    --------
    >>> parse_config("model_config_list { config { name: 'clothes' } }").model_config_list.config[0].name
    'clothes'
    """
    config = message_class("ModelServerConfig")()
    from google.protobuf import text_format

    try:
        return text_format.Parse(text, config, allow_unknown_field=True)
    except text_format.ParseError as error:
        hint = "Write fields as name: value, messages as name { … }, and strings in quotes."
        raise WrongUsage(f"The protobuf text cannot be parsed: {error}.", hint) from error


@cache
def _pool() -> Any:
    """Return a pool of its own, so that TensorFlow's real messages can be imported into the same process."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool

    file = FileDescriptorProto(name="mlops_lab/serving.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, field)
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_field(message: Any, text: str) -> None:
    """Add a field that is written as in a .proto file to a message's descriptor."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    *label, kind, name, _, number = text.split()
    field = message.field.add(name=name, number=int(number))
    field.label = Field.LABEL_REPEATED if label else Field.LABEL_OPTIONAL
    if kind in FIELDS:
        field.type, field.type_name = Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = Field.Type.Value(f"TYPE_{kind.upper()}")
