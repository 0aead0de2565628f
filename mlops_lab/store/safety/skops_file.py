"""Judge a ``.skops`` file without skops: every type that its schema names must be on the allow-list.

skops audits again when it loads; this is the first lock, and it needs no scikit-learn.
"""

from __future__ import annotations

import re
from typing import Any

from mlops_lab.filetype import printable
from mlops_lab.store.safety import allowed, archive, strict_json
from mlops_lab.store.safety.report import AuditFinding, AuditRefusal, finding

SCHEMA_BYTES = 16 * 2**20
ARRAY_BYTES = 256 * 2**20
MAX_MEMBERS = 20_000
MAX_NODES = 200_000
PROTOCOLS = range(0, 4)
ARRAY = re.compile(r"[0-9]{1,20}\.(npy|npz)", re.ASCII)
TREES = {"sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"}
OPEN_LOADERS = {  # these build what their content says, so only listed types may use them
    "MethodNode", "PartialNode", "ConstructorFromReduceNode", "OperatorFuncNode", "FunctionNode", "ReduceNode",
    "LossNode", "TreeNode",
}  # fmt: skip


def judge_skops(data: bytes, members: dict[str, archive.Member]) -> list[AuditFinding]:
    """Return what is wrong with a ``.skops`` archive."""
    extra = [name for name in members if name != "schema.json" and not ARRAY.fullmatch(name)]
    if extra:
        raise AuditRefusal("zip_unexpected_member", "skops writes no such member.", min(extra))
    schema = strict_json.parse(archive.extract(data, members["schema.json"], SCHEMA_BYTES), "schema.json", SCHEMA_BYTES)
    if not isinstance(schema, dict) or type(schema.get("protocol")) is not int or schema["protocol"] not in PROTOCOLS:
        raise AuditRefusal("skops_structure", "The schema names no protocol of skops.", "schema.json")
    found = _walk(schema, members)
    if not found:
        for member in members.values():
            _array(data, member)
    return found


def _walk(schema: dict[str, Any], members: dict[str, archive.Member]) -> list[AuditFinding]:
    strange: dict[str, None] = {}
    count, waiting = 0, [schema]
    while waiting:
        node = waiting.pop()
        count += 1
        if count > MAX_NODES:
            raise AuditRefusal("skops_structure", f"The schema has more than {MAX_NODES:,} nodes.", "schema.json")
        if "__loader__" in node or "__class__" in node:
            name = _type(node)
            if name is not None:
                strange[name] = None
        file = node.get("file")
        if file is not None and "__loader__" in node and file not in members:
            raise AuditRefusal(
                "skops_structure", f"The schema names the missing member {printable(str(file))!r}.", "schema.json"
            )
        waiting += [child for value in node.values() for child in _dicts(value)]
    trees = [
        finding("skops_tree", f"{name} holds indices that scikit-learn follows unchecked.")
        for name in strange
        if name in TREES
    ]
    others = [name for name in strange if name not in TREES]
    return [
        finding(
            "skops_untrusted", f"The file would build {printable(name)}, which is not on the list of allowed types."
        )
        for name in others[:20]
    ] + trees


def _dicts(value: Any) -> list[dict[str, Any]]:
    found, waiting = [], [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            found.append(item)
        elif isinstance(item, list):
            waiting += item
    return found


def _type(node: dict[str, Any]) -> str | None:
    """Return the type that a node would build when it is not allowed."""
    module, name, loader = node.get("__module__"), node.get("__class__"), node.get("__loader__")
    if loader == "CachedNode" and module is None:
        return None
    if not all(isinstance(word, str) for word in (module, name, loader)):
        raise AuditRefusal("skops_structure", "A node of the schema names no type.", "schema.json")
    full = f"{module}.{name}"
    if loader == "LossNode" and full in allowed.names("skops", "losses"):
        return None
    if full not in allowed.names("skops", "types"):
        return full
    if loader not in allowed.names("skops", "loaders"):
        return f"{full} by {loader}"
    if loader in OPEN_LOADERS and full not in allowed.names("skops", "functions"):
        return f"{full} by {loader}"
    return None


def _array(data: bytes, member: archive.Member) -> None:
    """Refuse arrays of objects: reading one runs a pickle."""
    if member.name == "schema.json":
        return
    content = archive.extract(data, member, ARRAY_BYTES)
    if member.name.endswith(".npz"):
        for inner in archive.read_members(content).values():
            _npy(archive.extract(content, inner, ARRAY_BYTES), member.name)
    else:
        _npy(content, member.name)


def _npy(content: bytes, where: str) -> None:
    import io

    from numpy.lib import format as npy

    stream = io.BytesIO(content)
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    except Exception as error:  # numpy raises whatever the header makes of it
        raise AuditRefusal("skops_array", f"An array is damaged ({printable(str(error), 100)}).", where) from None
    if dtype.hasobject:
        raise AuditRefusal("numpy_object", "An array holds Python objects, so reading it runs a pickle.", where)
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size != len(content) - stream.tell():
        raise AuditRefusal("skops_array", f"An array declares {size:,} bytes and holds another number.", where)
