"""Hostile HDF5 files: as the weights of a ``.keras`` file, and as legacy ``.h5`` models."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hostile_base import SHAPES, Case, h5, keras, layer, lenet_layers

KERNEL = "layers/dense_2/vars/0"
BIAS = "layers/dense_2/vars/1"
Edit = Callable[[h5py.File], None]


def cases(canary: Path) -> list[Case]:
    """Return the files."""
    return [
        *(Case(f"h5_{name}.keras", code, keras(weights=h5(edit))) for name, (edit, code) in _edits().items()),
        *_bytes(),
        *_legacy(canary),
    ]


def _put(path: str, **options: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        if path in file:
            del file[path]
        file.create_dataset(path, **options)

    return edit


def _fill(path: str, value: float) -> Edit:
    def edit(file: h5py.File) -> None:
        file[path][..., 0] = value

    return edit


def _link(path: str, link: object) -> Edit:
    def edit(file: h5py.File) -> None:
        del file[path]
        file[path] = link

    return edit


def _cycle(file: h5py.File) -> None:
    file["layers/dense_2/again"] = file["layers"]


def _shared(file: h5py.File) -> None:
    del file[KERNEL]
    file[KERNEL] = file["layers/dense_1/vars/0"]


def _virtual(file: h5py.File) -> None:
    del file[KERNEL]
    layout = h5py.VirtualLayout(shape=(84, 10), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(84, 10))
    file.create_virtual_dataset(KERNEL, layout)


def _external(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (84, 10), "f4", external=[("/etc/passwd", 0, 3360)])


def _unknown_filter(file: h5py.File) -> None:
    del file[KERNEL]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((84, 10))
    plan.set_filter(32_000, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((84, 10))
    h5py.h5d.create(file["layers/dense_2/vars"].id, b"0", h5py.h5t.IEEE_F32LE, space, plan)


def _scale_offset(file: h5py.File) -> None:
    del file[KERNEL]
    file.create_dataset(KERNEL, (84, 10), "f4", scaleoffset=3)


def _named_type(file: h5py.File) -> None:
    file["layers/dense_2/kind"] = np.dtype("f4")


def _swapped(file: h5py.File) -> None:
    file.move("layers/dense", "layers/x")
    file.move("layers/dense_1", "layers/dense")
    file.move("layers/x", "layers/dense_1")


def _delete(path: str) -> Edit:
    def edit(file: h5py.File) -> None:
        del file[path]

    return edit


def _many(file: h5py.File) -> None:
    for index in range(5_000):
        file.create_group(f"layers/dense_2/g{index}")


def _optimizer(file: h5py.File) -> None:
    file.create_dataset("optimizer/vars/1", data=np.zeros(700_000, "f4"))


def _edits() -> dict[str, tuple[Edit, str]]:
    pair = np.dtype([("a", "f4"), ("b", "f4")])
    return {
        "soft_link": (_link(KERNEL, h5py.SoftLink("/layers/dense_1/vars/0")), "h5_soft_link"),
        "soft_link_dangling": (_link(KERNEL, h5py.SoftLink("/nowhere")), "h5_soft_link"),
        "external_link": (_link(KERNEL, h5py.ExternalLink("/etc/passwd", "/")), "h5_external_link"),
        "external_link_relative": (
            _link("layers/flatten", h5py.ExternalLink("../secret.h5", "/x")),
            "h5_external_link",
        ),
        "external_data": (_external, "h5_external"),
        "virtual_data": (_virtual, "h5_virtual"),
        "cycle": (_cycle, "h5_cycle"),
        "shared_data": (_shared, "h5_shared"),
        "named_type": (_named_type, "h5_object"),
        "shape_1e9_gzip": (_put(KERNEL, shape=(10**9,), dtype="f4", compression="gzip"), "h5_bomb"),
        "shape_400mb_gzip": (_put(KERNEL, shape=(10**8,), dtype="f4", compression="gzip"), "h5_bomb"),
        "shape_3mb_gzip": (_put(KERNEL, shape=(750_000,), dtype="f4", compression="gzip"), "h5_bomb"),
        "shape_2_to_50": (_put(KERNEL, shape=(2**25, 2**25), dtype="f4", chunks=(1024, 1024)), "h5_bomb"),
        "shape_not_stored": (_put(KERNEL, shape=(10**9,), dtype="f4"), "h5_bomb"),
        "not_stored": (_put(KERNEL, shape=(84, 10), dtype="f4"), "h5_storage"),
        "zeros_bomb": (_put(KERNEL, data=np.zeros(2_000_000, "f4"), compression="gzip"), "h5_bomb"),
        "rank_9": (_put(KERNEL, data=np.zeros((1,) * 9, "f4")), "h5_rank"),
        "no_space": (_put(KERNEL, data=h5py.Empty("f4")), "h5_rank"),
        "scalar": (_put(KERNEL, data=np.float32(1)), "weights_shape"),
        "float64": (_put(KERNEL, data=np.zeros((84, 10), "f8")), "h5_dtype"),
        "float16": (_put(KERNEL, data=np.zeros((84, 10), "f2")), "h5_dtype"),
        "complex": (_put(KERNEL, data=np.zeros((84, 10), "c8")), "h5_dtype"),
        "bytes": (_put(KERNEL, data=np.full((84, 10), b"x")), "h5_dtype"),
        "opaque": (_put(KERNEL, data=np.zeros((84, 10), "V4")), "h5_dtype"),
        "strings": (_put(KERNEL, shape=(3,), dtype=h5py.string_dtype()), "h5_dtype"),
        "variable_length": (_put(KERNEL, shape=(3,), dtype=h5py.vlen_dtype("f4")), "h5_dtype"),
        "references": (_put(KERNEL, shape=(3,), dtype=h5py.ref_dtype), "h5_dtype"),
        "compound": (_put(KERNEL, data=np.zeros((84, 10), pair)), "h5_dtype"),
        "unknown_filter": (_unknown_filter, "h5_filter"),
        "scale_offset": (_scale_offset, "h5_filter"),
        "lzf": (_put(KERNEL, data=np.zeros((84, 10), "f4"), compression="lzf"), "h5_filter"),
        "nan": (_fill(KERNEL, float("nan")), "weights_not_finite"),
        "inf": (_fill(BIAS, float("inf")), "weights_not_finite"),
        "missing_bias": (_delete(BIAS), "weights_missing"),
        "missing_layer": (_delete("layers/conv2d_1"), "weights_missing"),
        "missing_everything": (_delete("layers"), "weights_missing"),
        "extra_weight": (_put("layers/dense_2/vars/2", data=np.zeros(3, "f4")), "weights_extra"),
        "extra_layer": (_put("layers/dense_3/vars/0", data=np.zeros(3, "f4")), "weights_extra"),
        "extra_root": (_put("payload", data=np.zeros(3, "u1")), "weights_extra"),
        "giant_optimizer": (_optimizer, "weights_extra"),
        "wrong_shape": (_put(KERNEL, data=np.zeros((84, 11), "f4")), "weights_shape"),
        "transposed": (_put(KERNEL, data=np.zeros((10, 84), "f4")), "weights_shape"),
        "swapped_layers": (_swapped, "weights_shape"),
        "5000_groups": (_many, "h5_too_many"),
    }


def _bytes() -> list[Case]:
    good = h5()
    found = {
        "empty": (b"", "h5_damaged"),
        "junk": (b"junk" * 100, "h5_damaged"),
        "prefix": (b"#!/bin/sh\n" + good, "h5_prefix"),
        "user_block": (h5(userblock_size=512), "h5_prefix"),
        "trailing": (good + b"more", "h5_trailing"),
        "truncated": (good[:-100], "h5_truncated"),
        "truncated_half": (good[: len(good) // 2], "h5_truncated"),
        "head_only": (good[:60], "h5_truncated"),
        "signature_only": (good[:8], "h5_damaged"),
        "superblock_9": (good[:8] + b"\x09" + good[9:], "h5_damaged"),
        "pickle": (b"\x80\x04cos\nsystem\n.", "h5_damaged"),
    }
    return [Case(f"h5_bytes_{name}.keras", code, keras(weights=data)) for name, (data, code) in found.items()]


def legacy(config: Any, edit: Edit | None = None, **attributes: Any) -> bytes:
    """Return a legacy ``.h5`` model."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, value in {"keras_version": "2.15.0", "backend": "tensorflow", **attributes}.items():
            file.attrs[name] = value
        if config is not None:
            file.attrs["model_config"] = config if isinstance(config, str | bytes) else json.dumps(config)
        for name, shapes in SHAPES.items():
            for word, shape in zip(("kernel", "bias"), shapes, strict=True):
                file[f"model_weights/{name}/{name}/{word}:0"] = np.zeros(shape, "f4")
        if edit:
            edit(file)
    return buffer.getvalue()


def plain(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a configuration as legacy files hold it: without modules."""
    return {
        "class_name": "Sequential",
        "config": {"name": "m", "layers": [{k: item[k] for k in ("class_name", "config")} for item in layers]},
    }


def _legacy(canary: Path) -> list[Case]:
    code = [f"import os; os.system('touch {canary}')", None, None]
    good = plain(lenet_layers())
    evil = plain([*lenet_layers(), layer("Lambda", "l", function=code, function_type="lambda")])
    lookup = plain([*lenet_layers(), layer("StringLookup", "l", vocabulary="/etc/passwd")])
    custom = plain([*lenet_layers(), {**layer("Dense", "l", units=3), "class_name": "evil>Dense"}])
    external = _link("model_weights/dense_2", h5py.ExternalLink("/etc/passwd", "/"))
    return [
        Case("legacy_lambda.h5", "lambda_layer", legacy(evil)),
        Case("legacy_lambda_renamed.keras", "lambda_layer", legacy(evil)),
        Case("legacy_lookup.h5", "lookup_layer", legacy(lookup)),
        Case("legacy_custom_class.h5", "registered_name", legacy(custom)),
        Case("legacy_external_link.h5", "h5_external_link", legacy(good, external)),
        Case("legacy_weights_only.h5", "h5_no_model", legacy(None)),
        Case(
            "legacy_duplicate_key.h5",
            "json_duplicate_key",
            legacy('{"class_name": "Sequential", "class_name": "Lambda"}'),
        ),
        Case(
            "legacy_wrong_shape.h5",
            "weights_shape",
            legacy(good, _put("model_weights/dense/dense/bias:0", data=np.zeros(7, "f4"))),
        ),
        Case("legacy_nan.h5", "weights_not_finite", legacy(good, _fill("model_weights/dense/dense/kernel:0", np.nan))),
        Case("legacy_training_nan.h5", "json_not_finite", legacy(good, training_config='{"loss": NaN}')),
        Case("legacy_config_9mb.h5", "json_size", legacy(json.dumps(good) + " " * 9_000_000)),
        Case("legacy_number.h5", "h5_no_model", legacy(None, model_config=5)),
    ]
