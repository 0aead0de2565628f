# %% [markdown]
# # Stage 3: store
#
# A trained model lives in the memory of one Python process; when the kernel ends it is gone. At the end of this notebook you will be able to
#
# * save and load a model with Keras and scikit-learn;
# * say, before loading it, whether a file will load, and whether it is safe;
# * publish versions that cannot be half there.
#
# It takes 60 to 90 minutes with the exercises, a minute without, and no network.

# %%
from mlops_lab import course, data, grade, store, train

course.lifecycle("store")

# %% [markdown]
# ## Run and look
#
# Something to save: LeNet-5 after one epoch on 2,000 images. A poor model is saved just like a good one.

# %% tags=["fast"]
dataset = data.load("fashion-mnist", limit=2000)

# %% tags=["long"]
dataset = data.load("fashion-mnist")

# %%
import json
import tempfile
import zipfile
from pathlib import Path

run = train.fit(dataset, train.TrainConfig(epochs=1), progress=False)
work = Path(tempfile.mkdtemp())
path = work / "clothes.keras"
print(f"{run.model.count_params():,} numbers of 4 bytes: {run.model.count_params() * 4 / 1000:.0f} kB")

# %% [markdown]
# **Predict, then run.** You would expect some 180 kB. How many kB has the file that Keras writes for a model that was trained as the course trains it, with Adam?

# %% tags=["predict", "stub"]
kilobytes = ...

# %% tags=["predict", "solution"]
kilobytes = 180

# %%
shipped = Path("models/clothes/1/model.keras")
course.reveal(
    kilobytes,
    lambda: round(shipped.stat().st_size / 1000),
)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# Adam remembers two numbers for each weight, and they are saved, so that training can go on: three times 44,426 numbers, and a few kB around them.

# %% [markdown]
# A `.keras` file is a zip archive: the *configuration* (which layers, in which order), the *weights*, and *metadata*. This is the format `v3`, which Keras chooses
# for every name that ends in `.keras`.

# %%
with zipfile.ZipFile(shipped) as archive:
    for member in archive.infolist():
        print(f"{member.filename:20} {member.file_size:>9,} bytes")
    print(json.loads(archive.read("metadata.json")))

# %% [markdown]
# ## 1. Save
#
# Write `save(model, path)`, which saves with Keras's own `model.save`, and `members(path)`: the names in the archive.


# %% tags=["stub"] mlops_lab={"exercise": "store-1"}
def save(model, path):
    Path(path).write_text(str(model))


def members(path):
    return []


# %% tags=["solution"] mlops_lab={"exercise": "store-1"}
def save(model, path):
    model.save(path)


def members(path):
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


# %%
save(run.model, path)
members(path)

# %% tags=["check"]
grade.check("store-1", (save, members))

# %% [markdown] tags=["hint"]
# The model must load in a process that does not have your code. `save_weights` saves the numbers alone.

# %% [markdown]
# And scikit-learn? It has no format of its own, so people use `pickle`. For a TensorFlow model that often fails, and section 4 shows what else is
# wrong with it. The lab saves scikit-learn models as `skops`, which holds data and no instructions.

# %%
import skops.io
from sklearn.naive_bayes import GaussianNB

digits = data.load("digits")
learned, unseen = (split.images.reshape(len(split.images), -1) for split in (digits.train, digits.test))
classifier = GaussianNB().fit(learned, digits.train.labels)
skops.io.dump(classifier, work / "digits.skops")
again = skops.io.load(work / "digits.skops")
print("types that skops does not trust:", skops.io.get_untrusted_types(file=work / "digits.skops"))
print("the same answers:", (again.predict(unseen) == classifier.predict(unseen)).all())

# %% [markdown]
# ## 2. Another process
#
# The proof of saving is to load where the model was never in memory. You could restart the kernel (menu **Kernel → Restart**); a second Python has
# the same effect. Write the file `reload.py`: it takes the path of a `.keras` file from its arguments, loads it, prepares the 10,000
# test images as in training, and prints the accuracy. The cell writes the file when it runs; the check starts it, with a model, in another folder.

# %% tags=["stub"] mlops_lab={"exercise": "store-2"}
# %%writefile reload.py
import keras

from mlops_lab import data

test = data.load("fashion-mnist").test
print("accuracy:", 0.1)

# %% tags=["solution"] mlops_lab={"exercise": "store-2"}
# %%writefile reload.py
import sys

import keras

from mlops_lab import data

model = keras.saving.load_model(sys.argv[1])
test = data.load("fashion-mnist").test
inputs = test.images.reshape(-1, 28, 28, 1) / 255
rows = model.predict(inputs, batch_size=500, verbose=0)
print("accuracy:", (rows.argmax(axis=1) == test.labels).mean())

# %% tags=["check"]
grade.check("store-2", "reload.py")

# %% [markdown] tags=["hint"]
# `sys.argv[1]` is the first argument. 0.83 instead of 0.91 says that loading restores the model, and not your preparation.

# %% [markdown]
# ## 3. Would it load?
#
# A colleague who works with TensorFlow 2.15, where Keras was at version 2, sends you a file. `check` reads it without loading it.

# %%
foreign = Path("files/from-tensorflow-2.15.keras")
store.check(foreign)

# %% [markdown]
# Keras says the same in the last line of a message of seven thousand characters. What can be done is to *migrate* it: its configuration is written anew, its weights
# are copied byte for byte. (The surest way is still to save and load with the same versions.)

# %%
store.migrate(foreign, work / "migrated.keras")
f"{store.load_keras(work / 'migrated.keras').count_params():,}"

# %% [markdown]
# It works the other way round, too: not every Keras 3 reads what a newer one wrote. `3.13` writes a key, `quantization_config`, that older ones do not take, and `3.15`
# another, `input_axes`.
#
# Write `would_load(wrote, runs)` → whether a `.keras` file of LeNet-5 that version `wrote` saved loads in version `runs`, and a reason. Both are texts such as `"3.12.4"`, or
# `"2.15"` for the old Keras.


# %% tags=["stub"] mlops_lab={"exercise": "store-3"}
def would_load(wrote, runs):
    return wrote == runs, "The versions differ."


# %% tags=["solution"] mlops_lab={"exercise": "store-3"}
def would_load(wrote, runs):
    wrote, runs = ([int(part) for part in version.split(".")] for version in (wrote, runs))
    if wrote[0] != runs[0]:
        return False, "Keras 2 and Keras 3 describe layers in other words."
    for written, key in (([3, 13], "quantization_config"), ([3, 15], "input_axes")):
        if wrote >= written and runs < written:
            return False, f"The file says {key}, which the older Keras does not take."
    return True, ""


# %%
for version in ("3.15.1", "3.12.4", "3.0.5"):
    report = store.check(path, f"keras=={version}") if zipfile.is_zipfile(path) else None
    print(f"{version:7} {report and report.loads!s:6} yours: {would_load('3.15.1', version)}")

# %% tags=["check"]
grade.check("store-3", would_load)

# %% [markdown] tags=["hint"]
# `"3.9" > "3.13"` is true for text: versions are lists of numbers. And a difference is not yet a reason: who wrote what the other does not know?

# %% [markdown]
# ## 4. A model file is a program
#
# Somebody who wants to run code on your machine writes other names into a model file. We do it ourselves: the same model, but one layer asks for
# `os.system`, which runs shell commands.

# %%
hostile = work / "a-gift.keras"
with zipfile.ZipFile(shipped) as source, zipfile.ZipFile(hostile, "w") as target:
    for member in source.infolist():
        content = source.read(member)
        if member.filename == "config.json":
            config = json.loads(content)
            layer = config["config"]["layers"][1]["config"]
            layer["activation"] = {"module": "os", "class_name": "function", "config": "system"}
            content = json.dumps(config).encode()
        target.writestr(member.filename, content)

store.check(hostile)

# %% [markdown]
# The audit has an *allow-list*: the names that a model needs. A list of bad names would never be complete. Keras sees no file that has not
# passed.
#
# A pickle is worse: it *is* a program. Write `calls(path)`: the names that a pickle would call, as `module.name`, found **without loading it**:
# `pickletools.genops` gives its instructions.

# %% tags=["stub"] mlops_lab={"exercise": "store-4"}
import pickletools


def calls(path):
    instructions = pickletools.genops(Path(path).read_bytes())
    return [argument.replace(" ", ".") for opcode, argument, _ in instructions if opcode.name == "GLOBAL"]


# %% tags=["solution"] mlops_lab={"exercise": "store-4"}
import pickletools


def calls(path):
    names, stack, memo = [], [], []
    for opcode, argument, _ in pickletools.genops(Path(path).read_bytes()):
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


# %%
import pickle


class Gift:
    def __reduce__(self):
        return print, ("This was only a print.",)


(work / "gift.pkl").write_bytes(pickle.dumps(Gift()))
calls(work / "gift.pkl")

# %% tags=["check"]
grade.check("store-4", calls)

# %% [markdown] tags=["hint"]
# Print `opcode.name` and `argument` for the gift above. Newer pickles push two texts, and then say `STACK_GLOBAL`; a text that is used again is fetched from a memo.

# %% [markdown]
# ## 5. 133,280 or 44,426?
#
# The course's server says that its model has 133,280 parameters; you counted 44,426. Write `parameters(path)` → a dict of `weights`, `optimizer` and `total`, from the
# file alone. The member `model.weights.h5` is an HDF5 file: `h5py` opens it.

# %% tags=["stub"] mlops_lab={"exercise": "store-5"}
import io

import h5py


def parameters(path):
    return {"weights": 44426, "optimizer": 0, "total": 44426}


# %% tags=["solution"] mlops_lab={"exercise": "store-5"}
import io

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


# %%
parameters(shipped)

# %% tags=["check"]
grade.check("store-5", parameters)

# %% [markdown] tags=["hint"]
# `file.visititems(function)` calls `function(name, item)` for everything in the file. Look at the names, and at `item.size`.

# %% [markdown]
# ## 6. Stretch: publish whole or not at all
#
# One file is enough to mail a model to a friend. Production needs versions side by side, the last one for a way back, and the proof that what is loaded is what was published.
# The lab's *model store*:

# %%
models = store.ModelStore(work / "models")
published = models.publish(run, "clothes", description="Trained in a hurry")
sorted(item.relative_to(published.path).as_posix() for item in published.path.rglob("*") if item.is_file())

# %% [markdown]
# The same model for Keras, ONNX Runtime and TensorFlow Serving, and a *manifest* with the SHA-256 of every file. Change a single byte, as a failing disk would.
#
# **Predict, then run.** Will the store load it: `"yes"`, or `"no"`?

# %% tags=["predict", "stub"]
loads = ...

# %% tags=["predict", "solution"]
loads = "yes"

# %%
from mlops_lab.errors import LabError

damaged = published.path / "model.onnx"
content = bytearray(damaged.read_bytes())
content[1000] ^= 1
damaged.write_bytes(content)
try:
    models.load("clothes", 1)
    seen = "yes"
except LabError as error:
    seen = f"no: {error}"
course.reveal(loads, seen)

# %% [markdown]
# A published version never changes, so the way out is to publish again, and to move the *alias* that clients ask for.

# %%
second = models.publish(run, "clothes", description="The same, undamaged")
models.promote("clothes", second.version, "production", why="version 1 was damaged")
models.history("clothes")

# %% [markdown]
# Write such a store: `publish(source, store, version)` copies a folder to `store/<version>`, whole or not at all, and never over an existing version; `verify(folder)` → the names of files
# that are not what was published. Your functions are stopped before every single file operation.

# %% tags=["stub"] mlops_lab={"exercise": "store-6"}
import shutil


def publish(source, store, version):
    shutil.copytree(source, Path(store) / str(version), dirs_exist_ok=True)


def verify(folder):
    return []


# %% tags=["solution"] mlops_lab={"exercise": "store-6"}
import hashlib
import os
import shutil


def digests(folder):
    files = [one for one in sorted(folder.rglob("*")) if one.is_file() and one.name != "digests.json"]
    return {one.relative_to(folder).as_posix(): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


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
    known, found = json.loads((folder / "digests.json").read_text()), digests(folder)
    return [name for name in sorted({*known, *found}) if known.get(name) != found.get(name)]


# %% tags=["check"]
grade.check("store-6", (publish, verify))

# %% [markdown] tags=["hint"]
# Build beside it, then rename: a rename is one step. And a flipped bit has the same size.

# %% [markdown]
# ## Where it goes wrong
#
# | what you see | what it is |
# |---|---|
# | `Unknown layer`, `batch_shape`, `quantization_config` | another Keras wrote the file: `check` it, then `migrate` |
# | it loads, and is right for 83 of 100 | the preparation was not saved with it |
# | `cannot pickle` | a TensorFlow object: `model.save` |
# | "not safe" | do not load it; ask for it as ONNX, or for the code that made it |
#
# ## The same from a terminal
#
# ```console
# $ mlops-lab check files/from-tensorflow-2.15.keras
# $ mlops-lab migrate files/from-tensorflow-2.15.keras mine.keras
# $ mlops-lab models list
# $ mlops-lab models show clothes
# $ mlops-lab grade . --only store
# ```
#
# ## What you have seen
#
# Saving is easy; loading elsewhere is where it fails. A model file is a program: check it before you load it. A version is published whole, never changes, and is
# verified whenever it is loaded.

# %%
shutil.rmtree(work)
grade.progress()

# %% [markdown]
# Next: [stage 4, serve](04_serve.ipynb).
