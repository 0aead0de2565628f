# %% [markdown]
# # Stage 3: store
#
# A trained model lives in the memory of one Python process. When the kernel ends, it is gone. In this stage you put it
# on disk so that another program, on another day, gets the same model back, and you learn what can go wrong on the way:
#
# 1. save a model to one file, restart, load it again;
# 2. load a file that another version of Keras wrote;
# 3. see a malicious file rejected;
# 4. publish versions into a models folder, which is what the server of stage 4 reads.
#
# Run the cells from top to bottom with **Shift + Enter**. It takes about five minutes, and no network.

# %% [markdown]
# ## 1. Something to save
#
# To save time, we train on only 2,000 of the 60,000 pictures, for a single epoch. The model will be poor, but a poor
# model is saved just like a good one.

# %%
from mlops_lab import data, store, train

dataset = data.load("fashion-mnist", limit=2000)
run = train.fit(dataset, train.TrainConfig(epochs=1))
run

# %% [markdown]
# ## 2. Save it to one file
#
# `save_keras` writes a `.keras` file. We put it into a temporary folder, so that running this notebook twice leaves
# nothing behind.

# %%
import tempfile
from pathlib import Path

work = Path(tempfile.mkdtemp())
path = store.save_keras(run.model, work / "clothes.keras")
print(path.name, f"{path.stat().st_size / 1024:.0f} KiB")

# %% [markdown]
# What is inside? A `.keras` file is a zip archive with three members: the *configuration* (which layers, in which
# order), the *weights* (the numbers that training found), and *metadata*.

# %%
import json
import zipfile

with zipfile.ZipFile(path) as archive:
    for member in archive.infolist():
        print(f"{member.filename:20} {member.file_size:>9,} bytes")
    metadata = json.loads(archive.read("metadata.json"))
metadata

# %% [markdown]
# Keras itself writes only its own version and the date there. `save_keras` adds those of TensorFlow, Python and NumPy:
# when a file does not load one day, these four versions are the first thing you want to know.

# %% [markdown]
# ## 3. A new process
#
# The real test of saving is to load in a process that never saw the model. You could restart the kernel now (menu
# **Kernel → Restart**) and load the file in the next cell. Here we start a second Python instead, which has
# the same effect and lets the notebook run through.

# %%
import subprocess
import sys

program = """
import sys
from mlops_lab import data, store
model = store.load_keras(sys.argv[1])
pictures = data.load("fashion-mnist").test.images[:3]
print(model(pictures[..., None] / 255.0).numpy().argmax(axis=1))
"""
done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
print(done.stdout)

# %% [markdown]
# The same three pictures, classified in this process. **Predict, then run**: will the classes be the same?

# %%
pictures = data.load("fashion-mnist").test.images[:3]
print(run.model(pictures[..., None] / 255.0).numpy().argmax(axis=1))

# %% [markdown]
# ## 4. A file from another version
#
# A colleague sends you a file. She works with TensorFlow 2.15, where Keras was still at version 2. Before you load it,
# check it. `check` reads the file without loading it, so it takes milliseconds and not the seconds of importing
# TensorFlow.

# %%
files = Path("files") if Path("files").is_dir() else Path("notebooks/files")
report = store.check(files / "from-tensorflow-2.15.keras")
report

# %% [markdown]
# Read it carefully. It names the version that wrote the file, the first incompatible layer, the argument, and what to
# do. Keras says the same in the last line of a message of some ten thousand characters.
#
# What happens if we try anyway? The error is raised before Keras is called, and it is one sentence.

# %%
from mlops_lab.errors import LabError

try:
    store.load_keras(files / "from-tensorflow-2.15.keras")
except LabError as error:
    print(error.message)
    print("→", error.hint)

# %% [markdown]
# The solution is to *migrate* the file: convert its configuration to your version. The weights are copied
# byte for byte.

# %%
store.migrate(files / "from-tensorflow-2.15.keras", work / "migrated.keras")

# %%
migrated = store.load_keras(work / "migrated.keras")
migrated.count_params()

# %% [markdown]
# It works the other way round too. Which of these could read *your* file?

# %%
for version in ("3.15.1", "3.12.4", "3.0.5"):
    report = store.check(path, f"keras=={version}")
    print(f"Keras {version:7} {'loads it' if report.loads else report.reasons[0]}")

# %% [markdown]
# ## 5. A malicious file
#
# A model file names the classes and functions that Keras will create. Somebody who wants to run code on your machine
# writes other names there. We make such a file ourselves: the same model, but one layer asks for `os.system`, the
# function that runs shell commands.

# %%
hostile = work / "a-gift.keras"
with zipfile.ZipFile(path) as source, zipfile.ZipFile(hostile, "w") as target:
    for member in source.infolist():
        content = source.read(member)
        if member.filename == "config.json":
            config = json.loads(content)
            layer = config["config"]["layers"][1]["config"]
            layer["activation"] = {"module": "os", "class_name": "function", "config": "system"}
            content = json.dumps(config).encode()
        target.writestr(member.filename, content)

store.check(hostile)

# %%
try:
    store.load_keras(hostile)
except LabError as error:
    print(error.code)
    print(error.message)
    print("→", error.hint)

# %% [markdown]
# The audit has an *allow-list*: it accepts the names that a model needs, and rejects all others, instead of searching
# for known malicious ones. Keras does not open the file before the audit has passed.
#
# **Try it**: rename any other file, say a picture or this notebook, to end in `.keras`, and `check` it.

# %% [markdown]
# ## 6. A folder of versions
#
# One file is enough to mail a model to a friend. Production needs more: several versions side by side, the previous
# one for a rollback, and proof that what is loaded is what was published. That is a *model store*.

# %%
models = store.ModelStore(work / "models")
first = models.publish(run, "clothes", description="Trained in a hurry")
first

# %% [markdown]
# The version's folder has the model in every format that a server may need: `model.keras` for Keras,
# `saved_model.pb` and `variables` for TensorFlow Serving, `model.onnx` for ONNX Runtime. The *manifest* comes last:
# it lists every file with its SHA-256, and some pictures with the predictions that the model must give, the *golden
# examples*.

# %%
sorted(item.relative_to(first.path).as_posix() for item in first.path.rglob("*") if item.is_file())

# %% [markdown]
# Loading verifies all of that, and returns a *predictor*.

# %%
predictor = models.load("clothes", "latest")
predictor.predict(dataset.test.images[:1])[0]

# %% [markdown]
# Now damage a file: change a single byte, as a failing disk would.

# %%
damaged = first.path / "model.onnx"
content = bytearray(damaged.read_bytes())
content[1000] ^= 1
damaged.write_bytes(content)
try:
    models.load("clothes", 1)
except LabError as error:
    print(error.message)
    print("→", error.hint)

# %% [markdown]
# A published version is immutable, so the solution is to publish again, as version 2. An *alias* names the version
# that clients should use.

# %%
second = models.publish(run, "clothes", description="The same, undamaged")
models.promote("clothes", second.version, "production", why="version 1 was damaged")
models.history("clothes")

# %% [markdown]
# ## What you have seen
#
# * Saving is easy; *loading elsewhere* is where it fails. Record the versions, and check before you load.
# * A model file is a program. Load only what has been audited.
# * A version is published atomically, immutable, and verified at every load.
#
# Next: [stage 4, serve](04_serve.ipynb).

# %%
import shutil

shutil.rmtree(work)
