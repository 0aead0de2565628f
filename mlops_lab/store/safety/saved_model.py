"""Judge a SavedModel: a TensorFlow graph is a program, so every operation in it must be on the allow-list.

TensorFlow itself says that a SavedModel is code. The operations that a Keras export needs compute; the others read and
write files, call Python or open sockets. The ones that save and restore the variables touch files by need, so they may
only sit in the functions that the saver names, which serving never calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mlops_lab.filetype import printable
from mlops_lab.store.safety import allowed
from mlops_lab.store.safety.protobuf import Message
from mlops_lab.store.safety.report import AuditFinding, AuditRefusal, finding

FILES = {"saved_model.pb", "fingerprint.pb", "keras_metadata.pb"}
VARIABLES = re.compile(r"variables/variables\.(index|data-\d{5}-of-\d{5})", re.ASCII)
SAVER_ONLY = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"}
MAX_NODES = 200_000
NODE_NAME, NODE_OP, NODE_ATTR = 1, 2, 5
ATTR_FUNCTION, ATTR_LIST, LIST_FUNCTIONS = 10, 1, 9


def judge_saved_model(files: Mapping[str, bytes]) -> list[AuditFinding]:
    """Return what is wrong with the files of a SavedModel."""
    for name in files:
        if name.startswith("assets"):
            raise AuditRefusal("saved_model_assets", "The model reads an asset file.", name)
        if name not in FILES and not VARIABLES.fullmatch(name):
            raise AuditRefusal("saved_model_file", "TensorFlow writes no such file.", name)
    model = Message(files["saved_model.pb"], "saved_model.pb")
    graphs = list(model.messages(2))
    if not graphs or model.fields.keys() - {1, 2}:
        raise AuditRefusal("saved_model_structure", "The file holds no graph.")
    found = {item.message: item for graph in graphs for item in reversed(_meta_graph(graph))}
    return list(found.values())[:20]


def _meta_graph(meta: Message) -> list[AuditFinding]:
    if meta.parts(6):
        raise AuditRefusal("saved_model_assets", "The model reads an asset file.")
    graph = next(meta.messages(2), None)
    if graph is None:
        raise AuditRefusal("saved_model_structure", "The file holds no graph.")
    top = list(graph.messages(1))
    functions = {name: nodes for library in graph.messages(2) for name, nodes in _functions(library)}
    if len(top) + sum(map(len, functions.values())) > MAX_NODES:
        raise AuditRefusal("saved_model_structure", f"The graph has more than {MAX_NODES:,} nodes.")
    saver = _saver_functions(meta, top, functions)
    found = [item for node in top for item in _node(node, "graph", saving=False)]
    for name, nodes in functions.items():
        found += [item for node in nodes for item in _node(node, name, saving=name in saver)]
    return found


def _functions(library: Message) -> Iterator[tuple[str, list[Message]]]:
    for function in library.messages(1):
        signature = next(function.messages(1), None)
        yield (signature.text(1) if signature else ""), list(function.messages(3))


def _node(node: Message, where: str, *, saving: bool) -> list[AuditFinding]:
    operation, name = node.text(NODE_OP), f"{where}/{node.text(NODE_NAME)}"
    if operation in SAVER_ONLY:
        if saving:
            return []
        return [finding("saved_model_operator", f"{operation} reads or writes files outside the saver.", name)]
    if operation in allowed.names("saved_model", "operators"):
        return []
    message = f"The operation {printable(operation)!r} is not on the list of allowed operations."
    return [finding("saved_model_operator", message, name)]


def _called(node: Message) -> set[str]:
    """Return the functions that a node calls."""
    names: set[str] = set()
    for entry in node.messages(NODE_ATTR):
        for value in entry.messages(2):
            calls = [*value.messages(ATTR_FUNCTION)]
            calls += [call for item in value.messages(ATTR_LIST) for call in item.messages(LIST_FUNCTIONS)]
            names.update(call.text(1) for call in calls)
    return names


def _saver_functions(meta: Message, top: list[Message], functions: dict[str, list[Message]]) -> set[str]:
    """Return the functions that only the saver's own nodes reach."""
    savers = {item.text(number).partition(":")[0] for item in meta.messages(3) for number in (1, 2, 3)} - {""}
    saving, serving = [set[str](), set[str]()]
    for node in top:
        (saving if node.text(NODE_NAME) in savers else serving).update(_called(node))
    calls = {name: set().union(*map(_called, nodes)) for name, nodes in functions.items()}
    served = _targets(meta)
    if served & savers:
        return set()
    return _reach(saving, calls) - _reach(serving, calls)


def _targets(meta: Message) -> set[str]:
    """Return the nodes whose values the signatures answer with."""
    names: set[str] = set()
    for entry in meta.messages(5):
        for signature in entry.messages(2):
            for item in (*signature.messages(1), *signature.messages(2)):
                names.update(tensor.text(1).partition(":")[0] for tensor in item.messages(2))
    return names - {"saver_filename"}


def _reach(start: set[str], calls: dict[str, set[str]]) -> set[str]:
    seen, waiting = set(start), list(start)
    while waiting:
        for name in calls.get(waiting.pop(), set()) - seen:
            seen.add(name)
            waiting.append(name)
    return seen
