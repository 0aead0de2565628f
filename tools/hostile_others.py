"""Hostile pickles, skops archives, ONNX files, SavedModels and version folders."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import importlib
import io
import itertools
import json
import lzma
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from hostile_base import Case, Member, keras, zipped


class _Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def cases(canary: Path) -> list[Case]:
    """Return the files; ``canary`` is what code in them would touch."""
    return [*_pickles(canary), *_arrays(canary), *_skops(), *_onnx(), *_saved_models(), *_folders(), *_unknown()]


def _pickles(canary: Path) -> list[Case]:
    touch = _Calls(os.system, f"touch {canary}")
    raw = pickle.dumps(touch, 4)
    chain = _Calls(getattr, _Calls(importlib.import_module, "os"), "system")
    written = f"open({str(canary)!r}, 'w')"
    packed = {
        "zlib": zlib.compress(raw),
        "gzip": gzip.compress(raw),
        "bz2": bz2.compress(raw),
        "xz": lzma.compress(raw),
        "lzma": lzma.compress(raw, format=lzma.FORMAT_ALONE),
        "old_joblib": b"ZF0x" + f"{len(raw):x}".ljust(17).encode() + zlib.compress(raw),
    }
    inside = zipped([Member("archive/data.pkl", raw), Member("archive/version", b"3\n")])
    return [
        *(Case(f"pickle_protocol_{n}.pkl", "pickle", pickle.dumps(touch, n)) for n in range(6)),
        *(Case(f"pickle_renamed.{end}", "pickle", raw) for end in ("keras", "h5", "onnx", "skops", "joblib", "npy")),
        Case("pickle_eval.pkl", "pickle", pickle.dumps(_Calls(eval, written), 0)),
        Case("pickle_import_module.pkl", "pickle", pickle.dumps(_Calls(importlib.import_module, "os"), 4)),
        Case("pickle_reduce_chain.pkl", "pickle", pickle.dumps(chain, 2)),
        Case("pickle_of_data.pkl", "pickle", pickle.dumps({"weights": [1.0, 2.0]}, 4)),
        Case("pickle_list.pkl", "pickle", pickle.dumps([touch, 1], 1)),
        *(Case(f"joblib_{name}.joblib", "pickle_compressed", data) for name, data in packed.items()),
        Case("joblib_renamed.keras", "pickle_compressed", packed["zlib"]),
        Case("torch.pt", "pickle_in_zip", inside),
        Case("gzip_of_text.keras", "unknown_format", gzip.compress(b"hello" * 100)),
    ]


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _arrays(canary: Path) -> list[Case]:
    objects = np.empty(1, dtype=object)
    objects[0] = _Calls(os.system, f"touch {canary}")
    archive = zipped([Member("a.npy", _npy(objects))])
    return [
        Case("numpy_object.npy", "numpy_object", _npy(objects)),
        Case("numpy_object_renamed.keras", "numpy_object", _npy(objects)),
        Case("numpy_numbers.npy", "not_a_model", _npy(np.zeros(3))),
        Case("numpy_archive.npz", "unknown_format", archive),
        Case("skops_object_array.skops", "numpy_object", skops({"0.npy": _npy(objects)}, _array_node())),
    ]


def _array_node(file: str = "0.npy") -> dict[str, Any]:
    return {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy", "file": file}


def skops(arrays: dict[str, bytes], node: dict[str, Any], **top: Any) -> bytes:
    """Return a ``.skops`` archive whose one object is ``node``."""
    schema = {**node, "protocol": 2, "_skops_version": "0.16.0", **top}
    members = [Member(name, data) for name, data in arrays.items()]
    return zipped([*members, Member("schema.json", json.dumps(schema).encode())])


def _node(module: str, name: str, loader: str, content: Any = None) -> dict[str, Any]:
    return {"__class__": name, "__module__": module, "__loader__": loader, "content": content}


def _skops() -> list[Case]:
    inner = _node("builtins", "list", "ListNode", [_node("os", "system", "FunctionNode")])
    short = _npy(np.zeros(100))[:-8]
    cases = {
        "os_system": (_node("os", "system", "FunctionNode"), "skops_untrusted"),
        "nested": (inner, "skops_untrusted"),
        "eval": (_node("builtins", "eval", "TypeNode"), "skops_untrusted"),
        "own_class": (_node("my_code", "Model", "ObjectNode"), "skops_untrusted"),
        "method": (_node("sklearn.linear_model._logistic", "LogisticRegression", "MethodNode"), "skops_untrusted"),
        "partial": (_node("functools", "partial", "PartialNode"), "skops_untrusted"),
        "reduce": (_node("builtins", "dict", "ConstructorFromReduceNode"), "skops_untrusted"),
        "tree": (_node("sklearn.tree._tree", "Tree", "TreeNode"), "skops_tree"),
        "loss": (_node("builtins", "dict", "LossNode"), "skops_untrusted"),
        "unknown_loader": (_node("builtins", "dict", "EvilNode"), "skops_untrusted"),
        "operator": (_node("operator", "methodcaller", "OperatorFuncNode"), "skops_untrusted"),
        "no_type": (_node("builtins", 5, "DictNode"), "skops_structure"),  # type: ignore[arg-type]
        "missing_array": (_array_node("9.npy"), "skops_structure"),
    }
    dictionary = _node("builtins", "dict", "DictNode", {})
    return [
        *(Case(f"skops_{name}.skops", code, skops({}, node)) for name, (node, code) in cases.items()),
        Case("skops_protocol.skops", "skops_structure", skops({}, dictionary, protocol=99)),
        Case("skops_protocol_true.skops", "skops_structure", skops({}, dictionary, protocol=True)),
        Case("skops_extra_member.skops", "zip_unexpected_member", skops({"evil.py": b"1"}, dictionary)),
        Case("skops_short_array.skops", "skops_array", skops({"0.npy": short}, _array_node())),
        Case("skops_junk_array.skops", "skops_array", skops({"0.npy": b"junk"}, _array_node())),
        Case(
            "skops_lying_shape.skops",
            "skops_array",
            skops({"0.npy": _npy(np.zeros(1)).replace(b"(1,), ", b"(1e9),")}, _array_node()),
        ),
        Case(
            "skops_giant_shape.skops",
            "skops_array",
            skops({"0.npy": _npy(np.zeros(10)).replace(b"(10,)", b"(9**9)")}, _array_node()),
        ),
        Case("skops_long_array.skops", "skops_array", skops({"0.npy": _npy(np.zeros(9)) + b"more"}, _array_node())),
        Case("skops_pickle_member.skops", "pickle_in_zip", skops({"0.pkl": pickle.dumps(1)}, dictionary)),
    ]


def field(number: int, value: int | bytes | str | list[bytes]) -> bytes:
    """Return one protocol-buffer field."""
    if isinstance(value, list):
        return b"".join(field(number, item) for item in value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value & (2**64 - 1))
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _tensor(dims: tuple[int, ...] = (2,), raw: bytes | None = None, more: bytes = b"", kind: int = 1) -> bytes:
    data = struct.pack("<2f", 1, 2) if raw is None else raw
    return (
        b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, "w") + (field(9, data) if data else b"") + more
    )


def _onnx_node(operator: str, inputs: list[str], outputs: list[str], domain: str = "", more: bytes = b"") -> bytes:
    names = b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs)
    return names + field(4, operator) + (field(7, domain) if domain else b"") + more


def _info(name: str, size: int = 2, kind: int = 1) -> bytes:
    shape = field(2, field(1, field(1, size)))
    return field(1, name) + field(2, field(1, field(1, kind) + shape))


def onnx(
    nodes: list[bytes] | None = None,
    tensor: bytes | None = None,
    more: bytes = b"",
    domain: str = "",
    size: int = 2,
    graph: bytes = b"",
    kind: int = 1,
) -> bytes:
    """Return an ONNX file: y = x + w, edited."""
    nodes = [_onnx_node("Add", ["x", "w"], ["y"])] if nodes is None else nodes
    body = field(1, nodes) + field(2, "g") + field(5, _tensor() if tensor is None else tensor)
    body += field(11, _info("x", size, kind)) + field(12, _info("y")) + graph
    return field(1, 8) + field(8, field(1, domain) + field(2, 17)) + field(7, body) + more


def _external(place: str) -> bytes:
    return _tensor(raw=b"", more=field(13, field(1, "location") + field(2, place)) + field(14, 1))


def _function(name: str, domain: str, nodes: list[bytes]) -> bytes:
    return field(25, field(1, name) + field(4, "a") + field(5, "b") + field(7, nodes) + field(10, domain))


def _blown_up() -> bytes:
    """Return twenty functions, each of which calls the one before it ten times."""
    more = _function("f0", "own", [_onnx_node("Neg", ["a"], ["b"])])
    for index in range(1, 20):
        calls = [_onnx_node(f"f{index - 1}", ["a"], ["b" if n == 9 else f"v{n}"], "own") for n in range(10)]
        more += _function(f"f{index}", "own", calls)
    return onnx([_onnx_node("f19", ["x"], ["y"], "own")], more=more)


def _unbounded() -> dict[str, bytes]:
    """Return graphs that a small input could keep busy for ever, or that fill the memory."""
    body = field(5, field(1, "body") + field(6, field(1, _onnx_node("Neg", ["x"], ["z"]))))
    doubled = field(1, _onnx_node("Concat", ["v", "v"], ["z"], more=_ints("axis")))
    carried = b"".join(field(11, _info(name)) for name in "icv") + field(12, _info("c")) + field(12, _info("z"))
    growing = field(5, field(1, "body") + field(6, doubled + carried))
    steps = _onnx_node("Constant", [], ["m"], more=field(5, field(1, "value_int") + field(3, 100)))
    many = _onnx_node("Constant", [], ["m"], more=field(5, field(1, "value_int") + field(3, 10**9)))
    return {
        "loop_by_data": onnx([_onnx_node("Loop", ["x"], ["y"], more=body)]),
        "loop_without_end": onnx([_onnx_node("Loop", ["", "x"], ["y"], more=body)]),
        "loop_too_long": onnx([many, _onnx_node("Loop", ["m"], ["y"], more=body)]),
        "loop_that_grows": onnx([steps, _onnx_node("Loop", ["m", "", "x"], ["y"], more=growing)]),
        "map": onnx([_onnx_node("SequenceMap", ["x"], ["y"], more=body)]),
        "range": onnx([_onnx_node("Range", ["w", "x", "w"], ["y"])]),
        "fill": onnx([_onnx_node("ConstantOfShape", ["x"], ["y"])]),
        "expand": onnx([_onnx_node("Expand", ["w", "x"], ["y"])]),
        "tile": onnx([_onnx_node("Tile", ["x", "x"], ["y"])]),
        "resize": onnx([_onnx_node("Resize", ["x", "", "x"], ["y"])]),
        "one_hot": onnx([_onnx_node("OneHot", ["x", "x", "w"], ["y"])]),
        "pad": onnx([_onnx_node("Pad", ["x", "x"], ["y"])]),
    }


def _numbers(name: str, *numbers: int) -> bytes:
    """Return a node that holds whole numbers."""
    return _onnx_node("Constant", [], [name], more=_ints("value_ints", *numbers))


def _ints(name: str, *numbers: int) -> bytes:
    return field(5, field(1, name) + b"".join(field(8, number) for number in numbers))


def _giants() -> dict[str, bytes]:
    """Return graphs whose answers do not fit in memory, whatever their input."""
    names, power = ["x", *(f"c{n}" for n in range(40)), "y"], ["s", *(f"p{n}" for n in range(6))]
    side, scale = _numbers("s", 100_000, 100_000), _tensor((4,), struct.pack("<4f", 1, 1, 1e5, 1e5))
    return {
        "fill": onnx([side, _onnx_node("ConstantOfShape", ["s"], ["y"])]),
        "expand": onnx([_numbers("s", 100_000, 100_000, 4), _onnx_node("Expand", ["x", "s"], ["y"])]),
        "range": onnx(
            [_numbers("a", 0), _numbers("b", 10**12), _numbers("c", 1), _onnx_node("Range", ["a", "b", "c"], ["y"])]
        ),
        "tile": onnx([side, _onnx_node("Tile", ["x", "s"], ["y"])]),
        "pad": onnx([_numbers("s", 10**4, 10**4, 10**4, 10**4), _onnx_node("Pad", ["x", "s"], ["y"])]),
        "resize": onnx([_onnx_node("Resize", ["x", "", "w"], ["y"])], tensor=scale),
        "upsample": onnx([_onnx_node("Upsample", ["x", "w"], ["y"])], tensor=scale),
        "multiplied": onnx(
            [
                _numbers("a", 1000, 10),
                _onnx_node("Mul", ["a", "a"], ["b"]),
                _numbers("c", 100),
                _onnx_node("Concat", ["b", "c"], ["s"]),
                _onnx_node("ConstantOfShape", ["s"], ["y"]),
            ]
        ),
        "added": onnx([side, _onnx_node("Add", ["s", "s"], ["b"]), _onnx_node("Expand", ["x", "b"], ["y"])]),
        "gathered": onnx(
            [
                _numbers("a", 1, 10**9),
                _numbers("p", 1),
                _onnx_node("Gather", ["a", "p"], ["b"]),
                _onnx_node("Cast", ["b"], ["s"]),
                _onnx_node("ConstantOfShape", ["s"], ["y"]),
            ]
        ),
        "times_shape": onnx(
            [
                _onnx_node("Shape", ["x"], ["a"]),
                _numbers("b", 10**9),
                _onnx_node("Mul", ["a", "b"], ["s"]),
                _numbers("one", 1),
                _onnx_node("Expand", ["one", "s"], ["y"]),
            ]
        ),
        "doubling": onnx([_onnx_node("Concat", [a, a], [b]) for a, b in itertools.pairwise(names)]),
        "power_of_shape": onnx(
            [
                _onnx_node("Shape", ["x"], ["s"]),
                *(_onnx_node("Mul", [a, a], [b]) for a, b in itertools.pairwise(power)),
                _numbers("one", 1),
                _onnx_node("Expand", ["one", power[-1]], ["y"]),
            ]
        ),
        "attribute": onnx([_onnx_node("RandomNormal", [], ["y"], more=_ints("shape", 100_000, 100_000))]),
    }


def _onnx() -> list[Case]:
    add = _onnx_node("Add", ["x", "b"], ["a"]), _onnx_node("Add", ["a", "w"], ["b"]), _onnx_node("Relu", ["b"], ["y"])
    inner = field(5, field(1, "then_branch") + field(6, field(1, _onnx_node("Evil", ["x"], ["z"]))))
    attribute = field(5, field(1, "value") + field(5, _external("weights.bin")))
    bad = {
        **{
            f"external_{name}": (onnx(tensor=_external(place)), "onnx_external")
            for name, place in {
                "parent": "../x",
                "absolute": "/etc/passwd",
                "beside": "w.bin",
                "missing": "none",
                "link": "l",
            }.items()
        },
        "external_flag_only": (onnx(tensor=_tensor(more=field(14, 1))), "onnx_external"),
        "external_in_constant": (onnx([_onnx_node("Constant", [], ["y"], more=attribute)]), "onnx_external"),
        "length_2gb": (onnx()[:20] + b"\x3a\xff\xff\xff\xff\x07" + b"x" * 50, "protobuf"),
        "length_beyond": (onnx(more=b"\x72\x7f"), "protobuf"),
        "endless_varint": (onnx(more=b"\x72" + b"\xff" * 20), "protobuf"),
        "group_wire_type": (onnx(more=b"\x73\x00"), "protobuf"),
        "truncated": (onnx()[:-7], "protobuf"),
        "unknown_operator": (onnx([_onnx_node("Evil", ["x"], ["y"])]), "onnx_operator"),
        "unknown_domain": (onnx([_onnx_node("Add", ["x", "w"], ["y"], "evil.ops")]), "onnx_domain"),
        "python_domain": (onnx([_onnx_node("PyOp", ["x"], ["y"], "ai.onnx.contrib")]), "onnx_domain"),
        "operator_in_branch": (onnx([_onnx_node("If", ["x"], ["y"], more=inner)]), "onnx_operator"),
        "cycle": (onnx(list(add)), "onnx_cycle"),
        "self_cycle": (onnx([_onnx_node("Add", ["y", "w"], ["y"])]), "onnx_cycle"),
        "undefined": (onnx([_onnx_node("Add", ["nowhere", "w"], ["y"])]), "onnx_undefined"),
        "no_output": (onnx([_onnx_node("Add", ["x", "w"], ["z"])]), "onnx_undefined"),
        "negative_dim": (onnx(tensor=_tensor((-2,))), "onnx_dims"),
        "negative_input": (onnx(size=-5), "onnx_dims"),
        "giant_dim": (onnx(tensor=_tensor((2**40,))), "onnx_giant"),
        "giant_product": (onnx(tensor=_tensor((2**20, 2**20))), "onnx_giant"),
        **{f"giant_{name}": (data, "onnx_giant") for name, data in _giants().items()},
        "short_data": (onnx(tensor=_tensor((3,))), "onnx_length"),
        "odd_data": (onnx(tensor=_tensor((2,), b"\0" * 7)), "onnx_length"),
        "no_data": (onnx(tensor=_tensor((2,), b"")), "onnx_length"),
        "nan": (onnx(tensor=_tensor((2,), struct.pack("<2f", 1, float("nan")))), "onnx_not_finite"),
        "strange_dtype": (onnx(tensor=_tensor(kind=99)), "onnx_dtype"),
        "function_in_place_of_add": (
            onnx(more=_function("Add", "", [_onnx_node("Neg", ["a"], ["b"])])),
            "onnx_structure",
        ),
        "function_without_name": (onnx(more=_function("", "own", [])), "onnx_structure"),
        "function_twice": (onnx(more=2 * _function("f", "own", [_onnx_node("Neg", ["a"], ["b"])])), "onnx_structure"),
        "function_evil": (onnx(more=_function("f", "own", [_onnx_node("Evil", ["a"], ["b"])])), "onnx_operator"),
        "function_calls_itself": (
            onnx(
                [_onnx_node("f", ["x"], ["y"], "own")],
                more=_function("f", "own", [_onnx_node("f", ["a"], ["b"], "own")]),
            ),
            "onnx_cycle",
        ),
        "function_without_output": (
            onnx(more=_function("f", "own", [_onnx_node("Neg", ["a"], ["c"])])),
            "onnx_undefined",
        ),
        "function_of_functions": (_blown_up(), "onnx_unbounded"),
        **{f"unbounded_{name}": (data, "onnx_unbounded") for name, data in _unbounded().items()},
        "lowest_by_minus_one": (
            onnx([_numbers("m", -1), _onnx_node("Div", ["x", "m"], ["y"])], kind=7),
            "onnx_division",
        ),
        "training": (onnx(more=field(20, b"")), "onnx_structure"),
        "two_graphs": (onnx(more=field(7, b"")), "onnx_structure"),
        "sparse": (onnx(graph=field(15, b"")), "onnx_structure"),
    }
    return [Case(f"onnx_{name}.onnx", code, data) for name, (data, code) in bad.items()]


def _graph_node(operator: str, name: str = "n", calls: str = "") -> bytes:
    attribute = field(5, field(1, "f") + field(2, field(10, field(1, calls)))) if calls else b""
    return field(1, name) + field(2, operator) + attribute


def saved_model(
    nodes: list[bytes], functions: dict[str, list[bytes]] | None = None, more: bytes = b""
) -> dict[str, bytes]:
    """Return a SavedModel folder with these nodes."""
    library = b"".join(
        field(1, field(1, field(1, name)) + field(3, inner)) for name, inner in (functions or {}).items()
    )
    graph = field(1, nodes) + (field(2, library) if library else b"")
    return {"saved_model.pb": field(1, 1) + field(2, field(2, graph) + more), "variables/variables.index": b"x"}


def _saved_models() -> list[Case]:
    saver = field(3, field(1, "saver_filename:0") + field(2, "save:0") + field(3, "restore"))
    call = [_graph_node("StatefulPartitionedCall", "save", "keep"), _graph_node("PartitionedCall", "serve", "keep")]
    good = saved_model([_graph_node("MatMul")])
    dangerous = [
        "ReadFile", "WriteFile", "PyFunc", "EagerPyFunc", "PyFuncStateless", "MatchingFiles", "PrintV2",
        "LoadLibrary", "RestoreV2", "SaveV2", "Save",
    ]  # fmt: skip
    dangerous += [
        "TextLineDataset",
        "TFRecordDatasetV2",
        "HashTableV2",
        "InitializeTableFromTextFileV2",
        "RpcCall",
        "DebugIdentity",
        "Evil",
    ]  # fmt: skip
    return [
        *(Case(f"saved_model_{name}", "saved_model_operator", saved_model([_graph_node(name)])) for name in dangerous),
        Case("saved_model_in_function", "saved_model_operator", saved_model([], {"f": [_graph_node("WriteFile")]})),
        Case(
            "saved_model_saver_served",
            "saved_model_operator",
            saved_model(call, {"keep": [_graph_node("SaveV2")]}, saver),
        ),
        Case(
            "saved_model_saver_writes",
            "saved_model_operator",
            saved_model(call[:1], {"keep": [_graph_node("WriteFile")]}, saver),
        ),
        Case("saved_model_assets", "saved_model_assets", {**good, "assets/words.txt": b"a"}),
        Case("saved_model_asset_entry", "saved_model_assets", saved_model([], more=field(6, b""))),
        Case("saved_model_library", "saved_model_file", {**good, "evil.so": b"\x7fELF"}),
        Case("saved_model_truncated", "protobuf", {**good, "saved_model.pb": good["saved_model.pb"][:-3]}),
        Case("saved_model_empty", "saved_model_structure", {**good, "saved_model.pb": b""}),
    ]


def version(files: dict[str, bytes], **change: bytes) -> dict[str, bytes]:
    """Return a version folder with its manifest."""
    listed = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    return {**files, "manifest.json": json.dumps({"format": 1, "files": listed}).encode(), **change}


def _folders() -> list[Case]:
    good = keras()
    folder = version({"model.keras": good})
    missing = {name: data for name, data in folder.items() if name != "model.keras"}
    escape = json.dumps({"files": {"../../etc/passwd": {"size": 1, "sha256": ""}}}).encode()
    return [
        Case("folder_changed", "folder_checksum", {**folder, "model.keras": good.replace(b"relu", b"tanh")}),
        Case("folder_missing", "folder_missing", missing),
        Case("folder_escape", "folder_missing", {"manifest.json": escape}),
        Case("folder_extra_python", "folder_extra", {**folder, "model.py": b"import os"}),
        Case("folder_evidence_python", "folder_extra", {**folder, "evidence/run.py": b"import os"}),
        Case("folder_no_list", "folder_manifest", {"manifest.json": b"{}"}),
        Case("folder_bad_json", "json_syntax", {"manifest.json": b"{"}),
        Case("folder_pickle_listed", "pickle", version({"model.keras": pickle.dumps([1], 4)})),
        Case(
            "folder_onnx_external",
            "onnx_external",
            version({"model.keras": good, "model.onnx": onnx(tensor=_external("x"))}),
        ),
        Case(
            "folder_saved_model",
            "saved_model_operator",
            version({"model.keras": good, **saved_model([_graph_node("PyFunc")])}),
        ),
        Case("folder_library_listed", "unknown_format", version({"evil.so": b"\x7fELF" + bytes(60)})),
    ]


def _unknown() -> list[Case]:
    files = {
        "elf": b"\x7fELF" + bytes(60),
        "script": b"#!/bin/sh\n",
        "html": b"<html>",
        "json": b'{"a": 1}',
        "zeros": bytes(100),
    }
    return [Case(f"unknown_{name}.keras", "unknown_format", data) for name, data in files.items()]
