"""The formats beside Keras's own: whether TensorFlow, ONNX Runtime or skops reads a file, by the numbers in it."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from mlops_lab.store.compat import keys, onnx_signature
from mlops_lab.store.compat.description import Judgement
from mlops_lab.store.compat.formats import ModelFile, mapped
from mlops_lab.store.compat.keys import KerasTarget, release

# The newest operator set and file version that each ONNX Runtime takes: tools/onnx_limits.py asked them.
ONNX_LIMITS = {
    (1, 16): (19, 9), (1, 17): (20, 9), (1, 18): (21, 10), (1, 19): (21, 10), (1, 20): (21, 10), (1, 21): (22, 10),
    (1, 22): (22, 10), (1, 23): (23, 11), (1, 24): (25, 13), (1, 25): (26, 13), (1, 31): (26, 13), (1, 32): (28, 14),
}  # fmt: skip
MIN_CONSUMER = 12  # every TensorFlow 2 writes this: the oldest TensorFlow that may read the graph


def saved_model(file: ModelFile, target: KerasTarget) -> Judgement:
    """Judge a SavedModel: an older or the same TensorFlow wrote it, or the graph says that an older one may read it."""
    writer = file.written_by["tensorflow"]
    reader = target.tensorflow or keys.installed("tensorflow")
    hint = f'pip install "tensorflow=={writer}"'
    if reader is None:
        return Judgement(False, ("TensorFlow, which reads SavedModels, is not installed.",), hint)
    notes = ["Keras 3 reads it with keras.layers.TFSMLayer, not with load_model."] if target.major == 3 else []
    if target.tensorflow is None:
        notes.append(f"TensorFlow reads it, not Keras, so this is for TensorFlow {reader}.")
    if release(writer)[:2] <= release(reader)[:2]:
        return Judgement(True, tuple(notes), "")
    consumer = file.config.get("graph_versions", {}).get(2, 0)
    if release(writer)[0] != release(reader)[0] or consumer > MIN_CONSUMER:
        return Judgement(
            False, (f"TensorFlow {writer} wrote it, and its graph needs a newer TensorFlow than {reader}.",), hint
        )
    notes.append(f"TensorFlow {writer}, which wrote it, is newer than {reader}; TensorFlow does not promise this way.")
    return Judgement(True, tuple(notes), "")


def onnx(file: ModelFile) -> Judgement:
    """Judge an ONNX file by its operator set and file version against the installed ONNX Runtime."""
    installed = keys.installed("onnxruntime")
    if installed is None:
        return Judgement(False, ("ONNX Runtime is not installed.",), 'pip install "onnxruntime"')
    line = max((v for v in ONNX_LIMITS if v <= release(installed)[:2]), default=min(ONNX_LIMITS))
    most_opset, most_ir = ONNX_LIMITS[line]
    opset, ir = file.config["opsets"].get("ai.onnx", 1), file.config["ir_version"]
    reasons = []
    if opset > most_opset:
        reasons.append(f"It uses operator set {opset}; ONNX Runtime {installed} takes up to {most_opset}.")
    if ir > most_ir:
        reasons.append(f"It is of ONNX file version {ir}; ONNX Runtime {installed} takes up to {most_ir}.")
    readers = [v for v, (o, i) in sorted(ONNX_LIMITS.items()) if o >= opset and i >= ir]
    newer = f'pip install "onnxruntime>={readers[0][0]}.{readers[0][1]}"' if readers else "Export it for an older ONNX."
    if reasons:
        return Judgement(False, tuple(reasons), newer)
    return Judgement(True, onnx_signature.describe_signature(mapped(file.path)))


def skops(file: ModelFile) -> Judgement:
    """Judge a skops file by its protocol: the installed skops reads its own and every older one."""
    protocol, known = file.config.get("protocol"), _protocol()
    if known is None:
        return Judgement(False, ("skops is not installed.",), 'pip install "skops"')
    if not isinstance(protocol, int):
        return Judgement(False, ("Its schema.json states no protocol.",), "Save the model again with skops.")
    if protocol > known:
        version = file.written_by.get("skops")
        hint = f'pip install "skops=={version}"' if version else 'pip install --upgrade "skops"'
        return Judgement(
            False, (f"It is of skops protocol {protocol}; the installed skops reads up to {known}.",), hint
        )
    return Judgement(True, (), "")


def _protocol() -> int | None:
    """Return the protocol of the installed skops from its source, because importing it takes a second."""
    spec = find_spec("skops")
    if spec is None or not spec.submodule_search_locations:
        return None
    text = Path(spec.submodule_search_locations[0], "io", "_protocol.py").read_text()
    found = re.search(r"^PROTOCOL\s*=\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None
