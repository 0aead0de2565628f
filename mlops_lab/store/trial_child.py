"""The child of a trial load: it runs alone, in its own process, and answers with one line of JSON.

It is started as a script with an empty environment, so it imports nothing of ``mlops_lab``. The limits are set before
the first byte of the model is read.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import Any


def main() -> None:
    """Limit this process, load the model from standard input, check it, and answer."""
    answer = os.fdopen(os.dup(1), "wb")  # what libraries print must not mix with the answer
    os.dup2(2, 1)
    settings = json.loads(_read(struct.unpack("<I", _read(4))[0]))
    notes = limit(settings)
    data = _read(settings["size"])
    golden = [_read(size) for size in settings["golden"]]
    result = {"passed": False, "notes": notes, **_attempt(data, golden, settings)}
    answer.write(json.dumps(result).encode()[: settings["answer_bytes"]])
    answer.close()


def _read(size: int) -> bytes:
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        raise SystemExit(3)
    return data


def limit(settings: dict[str, Any]) -> dict[str, bool]:
    """Limit processor time, memory and file size where the system allows, and leave the network."""
    notes = {"network_cut": cut_network(), "cpu_limited": False, "memory_limited": False}
    try:
        import resource
    except ImportError:  # Windows
        return notes
    notes["cpu_limited"] = _limit(resource, "RLIMIT_CPU", settings["cpu_seconds"], settings["cpu_seconds"] + 5)
    notes["memory_limited"] = _limit(resource, "RLIMIT_AS", settings["address_bytes"]) and sys.platform == "linux"
    _limit(resource, "RLIMIT_FSIZE", settings["size"] + 2**20)
    _limit(resource, "RLIMIT_CORE", 0)
    return notes


def _limit(resource: Any, name: str, value: int, hard: int | None = None) -> bool:
    try:
        resource.setrlimit(getattr(resource, name), (value, value if hard is None else hard))
    except (AttributeError, OSError, ValueError):
        return False
    return True


def cut_network() -> bool:
    """Move into a network of our own, which leads nowhere; only Linux can, and not everywhere."""
    if sys.platform != "linux":
        return False
    import ctypes

    user, new_user, new_network = (os.getuid(), os.getgid()), 0x10000000, 0x40000000
    if ctypes.CDLL(None, use_errno=True).unshare(new_user | new_network) != 0:
        return False
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user[0]} {user[0]} 1"),
        ("gid_map", f"{user[1]} {user[1]} 1"),
    ):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError:
            pass
    return True


def _attempt(data: bytes, golden: list[bytes], settings: dict[str, Any]) -> dict[str, Any]:
    try:
        return _load(data, golden, settings)
    except MemoryError:
        return {"code": "trial_memory", "reason": "it needs more memory than the trial allows"}
    except BaseException as error:  # whatever Keras raises is the answer
        text = str(error).strip().splitlines()
        return {"code": "trial_load", "reason": f"{type(error).__name__}: {text[-1] if text else ''}"[:500]}


def _load(data: bytes, golden: list[bytes], settings: dict[str, Any]) -> dict[str, Any]:
    if settings["format"] == "onnx":
        return _run_onnx(data)
    path = os.path.join(settings["folder"], "model.keras")
    with open(path, "wb") as file:
        file.write(data)
    import keras

    model = keras.models.load_model(path, compile=False, safe_mode=True)
    return _check(model, golden, settings)


# NumPy's names for the types of ONNX Runtime that zeros can be made of.
TYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16", "tensor(int64)": "int64",
    "tensor(int32)": "int32", "tensor(uint8)": "uint8", "tensor(int8)": "int8", "tensor(bool)": "bool",
    "tensor(int16)": "int16", "tensor(uint16)": "uint16", "tensor(uint32)": "uint32", "tensor(uint64)": "uint64",
    "tensor(string)": "object",
}  # fmt: skip


def _run_onnx(data: bytes) -> dict[str, Any]:
    """Load an ONNX model and run it once on zeros, where it takes arrays of numbers."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    shape = str([item.shape for item in session.get_outputs()])[:200]
    result = {"passed": True, "code": "ok", "output_shape": shape}
    if not all(item.type in TYPES for item in session.get_inputs()):
        return result
    feed = {
        item.name: _zeros([size if isinstance(size, int) else 1 for size in item.shape], TYPES[item.type])
        for item in session.get_inputs()
    }
    try:
        session.run(None, feed)
    except MemoryError:
        raise
    except Exception as error:  # zeros of the smallest size may be no input of this model
        if any(word in str(error) for word in ("allocate memory", "bad_alloc", "bad allocation")):
            raise MemoryError from error
        return result | {"reason": str(error).strip().splitlines()[-1][:300]}
    return result


def _zeros(shape: list[int], dtype: str) -> Any:
    """Return zeros, or empty texts."""
    import numpy as np

    return np.full(shape, "", object) if dtype == "object" else np.zeros(shape, dtype)


def _check(model: Any, golden: list[bytes], settings: dict[str, Any]) -> dict[str, Any]:
    import io

    import numpy as np

    for weight in model.weights:
        values = np.asarray(weight)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return {"code": "weights_not_finite", "reason": f"the weight {weight.path} holds NaN or infinity"}
    facts = {"parameters": int(model.count_params()), "output_shape": str(model.output_shape)[:200]}
    arrays = [np.load(io.BytesIO(item), allow_pickle=False) for item in golden]
    inputs = arrays[0] if arrays else _made_up(model)
    if inputs is None:
        return {"passed": True, "code": "ok", **facts}
    outputs = model(inputs, training=False)
    return facts | _judge(model, outputs, arrays[1] if arrays else None, settings["tolerance"])


def _made_up(model: Any) -> Any:
    """Return one small input of zeros for a model that takes one array."""
    import numpy as np

    shape = model.input_shape
    if not isinstance(shape, tuple):
        return None
    return np.zeros([1 if size is None else size for size in shape], dtype=getattr(model.inputs[0], "dtype", "float32"))


def _judge(model: Any, outputs: Any, wanted: Any, tolerance: float) -> dict[str, Any]:
    import keras
    import numpy as np

    if isinstance(outputs, list | tuple | dict):
        return {
            "passed": wanted is None,
            "code": "ok" if wanted is None else "trial_shape",
            "reason": "several outputs",
        }
    found = np.asarray(outputs)
    shape = model.output_shape
    if len(shape) != found.ndim or any(size not in (None, real) for size, real in zip(shape, found.shape, strict=True)):
        return {"code": "trial_shape", "reason": f"it answers with shape {found.shape} instead of {shape}"}
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        return {"code": "trial_not_finite", "reason": "it answers with NaN or infinity"}
    last = model.layers[-1] if model.layers else None
    softmax = getattr(last, "activation", None) is keras.activations.softmax or isinstance(last, keras.layers.Softmax)
    if softmax and not np.allclose(
        found.astype("float64").sum(axis=-1), 1, atol=1e-2 if found.dtype.itemsize < 4 else 1e-4
    ):
        return {"code": "trial_softmax", "reason": "its softmax probabilities do not add up to 1"}
    if wanted is not None and (wanted.shape != found.shape or not np.allclose(found, wanted, rtol=0, atol=tolerance)):
        return {"code": "trial_golden", "reason": "its answer to the golden example is not the recorded one"}
    return {"passed": True, "code": "ok"}


if __name__ == "__main__":
    main()
