"""A hundred hot swaps under load, with bad artifacts among them: no request may fail or name the wrong version.

    python benchmarks/swaps.py [--swaps 100] [--bad 20]

Version n of the model always answers the class n modulo 10 with a confidence that only n has, so an answer that names
another version than the one that computed it is seen. Other options go to `mlops-lab serve`: `--batch-size 16`.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from server import Load, running

from mlops_lab import store
from mlops_lab.image import InputSpec, encode_png

LABELS = tuple("0123456789")
SPEC = InputSpec(shape=(64,), size=(8, 8), high=16.0)


def answer_of(version: int) -> np.ndarray:
    """Return the one row of probabilities that a version answers."""
    highest = 0.5 + version / 1000
    row = np.full(10, (1 - highest) / 9, np.float32)
    row[version % 10] = highest
    return row


def constant(version: int) -> bytes:
    """Return an ONNX model that answers its version, whatever it is asked."""
    zero = helper.make_node("ReduceSum", ["image", "axis"], ["sum"], keepdims=1)
    nothing = helper.make_node("Mul", ["sum", "none"], ["nothing"])
    row = helper.make_node("Add", ["nothing", "row"], ["probabilities"])
    graph = helper.make_graph(
        [zero, nothing, row],
        "constant",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])],
        [
            numpy_helper.from_array(np.array([1]), "axis"),
            numpy_helper.from_array(np.zeros(1, np.float32), "none"),
            numpy_helper.from_array(answer_of(version)[None], "row"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    return model.SerializeToString()


def publish(models: store.ModelStore, version: int) -> Path:
    """Publish the constant of a version."""
    examples = np.arange(128, dtype=np.uint8).reshape(2, 8, 8)
    imported = store.from_onnx(constant(version), input=SPEC, labels=LABELS, examples=examples)
    return models.publish(imported, "canary", version).path


def check(status: int, content: bytes) -> str:
    """Return ``ok`` where the version that is named is the one that computed."""
    if status != 200:
        return str(status)
    answer = json.loads(content)
    version = int(answer["version"][1:])
    wanted = np.round(answer_of(version).astype(float), 7).tolist()
    return "ok" if answer["predictions"][0]["probabilities"] == wanted else "wrong version"


def _edit(change: Callable[[dict], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_text(json.dumps(manifest))

    return spoil


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _rehash(name: str, content: bytes) -> Callable[[Path], object]:
    """Replace a file and make the manifest agree, as somebody would who means harm."""
    import hashlib

    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(content)
        entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        _edit(lambda manifest: manifest["files"].update({name: entry}))(folder)

    return spoil


def _golden(change: Callable[[np.ndarray], np.ndarray], kind: str = "") -> Callable[[Path], object]:
    """Change the golden arrays, or only the inputs or outputs, and make the manifest agree."""

    def spoil(folder: Path) -> None:
        with np.load(folder / "golden.npz") as arrays:
            changed = {name: change(array) if name.startswith(kind) else array for name, array in arrays.items()}
        with io.BytesIO() as file:
            np.savez(file, **changed)
            _rehash("golden.npz", file.getvalue())(folder)

    return spoil


BAD: dict[str, Callable[[Path], object]] = {
    "empty manifest": _write("manifest.json", b""),
    "manifest is not JSON": _write("manifest.json", b"{"),
    "manifest is a list": _write("manifest.json", b"[]"),
    "manifest nested too deep": _write("manifest.json", b"[" * 100_000),
    "manifest of 9 MB": _write("manifest.json", b" " * 9_000_000),
    "unknown format": _edit(lambda manifest: manifest.update(format=99)),
    "another model's manifest": _edit(lambda manifest: manifest.update(name="other")),
    "another version's manifest": _edit(lambda manifest: manifest.update(version=77)),
    "no labels": _edit(lambda manifest: manifest["outputs"][0].update(labels=[])),
    "no golden examples": _golden(lambda array: array[:0]),
    "golden answers differ": _golden(lambda array: np.full_like(array, 0.1), "output"),
    "golden of another shape": _golden(lambda array: array[:, :3], "output"),
    "unknown engine": _edit(lambda manifest: manifest.update(engine="magic")),
    "a file outside the folder": _edit(lambda m: m["files"].update({"../x": {"size": 1, "sha256": "0"}})),
    "input of another shape": _edit(lambda manifest: manifest["inputs"][0].update(shape=[3, 3])),
    "model missing": lambda folder: (folder / "model.onnx").unlink(),
    "model truncated": lambda folder: (folder / "model.onnx").write_bytes((folder / "model.onnx").read_bytes()[:50]),
    "model is a pickle": _rehash("model.onnx", b"\x80\x04cos\nsystem\n\x8c\x04true\x85R."),
    "model is noise": _rehash("model.onnx", bytes(range(256)) * 10),
    "model is a folder": lambda f: ((f / "model.onnx").unlink(), (f / "model.onnx").mkdir()),
}


def publish_bad(models: store.ModelStore, version: int, spoil: Callable[[Path], object]) -> None:
    """Bring a spoiled version into the folder in one rename, the way a publisher does."""
    with tempfile.TemporaryDirectory(dir=models.root.parent) as elsewhere:
        folder = publish(store.ModelStore(elsewhere), version)
        spoil(folder)
        folder.rename(models.root / "canary" / str(version))


def listing(server: object) -> dict:
    """Return what the server says of the model."""
    connection = server.connect()  # type: ignore[attr-defined]
    connection.request("GET", "/models/canary")
    return json.loads(connection.getresponse().read())


def wait(server: object, version: int) -> None:
    """Wait until the server names a version."""
    for _ in range(200):
        if f"v{version}" in listing(server).get("states", {}):
            return
        time.sleep(0.05)
    raise SystemExit(f"version {version} was not noticed in 10 s")


def main() -> None:
    """Run the proof."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--bad", type=int, default=len(BAD))
    options, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        models = store.ModelStore(Path(folder) / "models")
        publish(models, 1)
        image = encode_png(np.zeros((8, 8), np.uint8))
        with running(models.root, *more) as server:
            with Load(server, "/models/canary/latest", image, "image/png", check=check) as base:
                time.sleep(5)
            before = server.megabytes
            version, bad = 1, list(BAD.items())[: options.bad]
            with Load(server, "/models/canary/latest", image, "image/png", check=check) as load:
                for number in range(options.swaps):
                    version += 1
                    publish(models, version)
                    wait(server, version)
                    if version > 4:  # keep three, as a careful operator would
                        shutil.rmtree(models.root / "canary" / str(version - 3), ignore_errors=True)
                    if number < len(bad):
                        version += 1
                        publish_bad(models, version, bad[number][1])
                        wait(server, version)
                        state = listing(server)["states"][f"v{version}"]
                        assert state.startswith("failed: "), f"{bad[number][0]} was taken: {state}"
                        print(f"  {bad[number][0]}: {state[8:110]}", flush=True)
                        shutil.rmtree(models.root / "canary" / str(version))
            after = server.megabytes
    p99 = [np.percentile(part.milliseconds, 99) for part in (base, load)]
    print(f"{options.swaps} swaps and {len(bad)} bad artifacts under 8 clients: {dict(load.found)}")
    print(f"p99 {p99[0]:.1f} ms before, {p99[1]:.1f} ms while swapping ({p99[1] / p99[0]:.2f} of it)")
    print(f"memory {before:.0f} → {after:.0f} MB")
    raise SystemExit(0 if set(load.found) == {"ok"} and after - before < 100 else 1)


if __name__ == "__main__":
    main()
