"""Reference answers to store-3 to store-6."""

WOULD_LOAD = """
def would_load(wrote, runs):
    wrote, runs = ([int(part) for part in version.split(".")] for version in (wrote, runs))
    if wrote[0] != runs[0]:
        return False, "Keras 2 and Keras 3 describe layers in other words."
    for written, key in (([3, 13], "quantization_config"), ([3, 15], "input_axes")):
        if wrote >= written and runs < written:
            return False, f"The file says {key}, which the older Keras does not take."
    return True, ""
"""

CALLS = """
import pickletools

def calls(path):
    names, stack, memo = [], [], []
    with open(path, "rb") as file:
        for opcode, argument, _ in pickletools.genops(file.read()):
            if opcode.name in ("GLOBAL", "INST"):
                names.append(argument.replace(" ", "."))
                stack.append(None)
            elif opcode.name == "STACK_GLOBAL":
                module, name = [one for one in stack if isinstance(one, str)][-2:]
                names.append(f"{module}.{name}")
                stack.append(None)
            elif opcode.name == "MEMOIZE":
                memo.append(stack[-1] if stack else None)
            elif opcode.name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[argument] if argument < len(memo) else None)
            else:
                stack.append(argument if isinstance(argument, str) else None)
    return names
"""

PARAMETERS = """
import io
import zipfile

import h5py

def parameters(path):
    counts = {"weights": 0, "optimizer": 0}
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            counts["optimizer" if name.startswith("optimizer") else "weights"] += item.size

    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(add)
    return {**counts, "total": sum(counts.values())}
"""

PUBLISH = """
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "digests.json"
    }

def publish(source, store, version):
    store = Path(store)
    store.mkdir(parents=True, exist_ok=True)
    if (store / str(version)).exists():
        raise FileExistsError(f"version {version} is there")
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=store))
    shutil.copytree(source, building, dirs_exist_ok=True)
    (building / "digests.json").write_text(json.dumps(digests(building)))
    os.rename(building, store / str(version))

def verify(folder):
    folder = Path(folder)
    known = json.loads((folder / "digests.json").read_text())
    found = digests(folder)
    return [name for name in sorted({*known, *found}) if known.get(name) != found.get(name)]
"""

SAVE = """
import zipfile

def save(model, path):
    model.save(path)

def members(path):
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()
"""

RELOAD = """
import sys

import keras
from mlops_lab import data

model = keras.saving.load_model(sys.argv[1])
test = data.load("fashion-mnist").test
inputs = test.images.reshape(-1, 28, 28, 1) / 255
rows = model.predict(inputs, batch_size=500, verbose=0)
print("accuracy:", (rows.argmax(axis=1) == test.labels).mean())
"""
