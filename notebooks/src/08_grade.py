# %% [markdown]
# # Stage 8: grade
#
# Seven stages long you were examined. Now you examine: you repair what a classmate wrote, write a check that helps, attack
# servers and defend your own, and say in one page what your model is and is not. At the end stands the **capstone**: a
# whole life cycle of your own.
#
# **What you will be able to do**
#
# * read a report, and repair with few changes,
# * write a check that lets every right answer pass and tells a wrong one what is wrong,
# * attack a server, and make your own survive,
# * write a model card whose figures hold,
# * deliver a life cycle that others can run.
#
# Run the cells from top to bottom with **Shift + Enter**. It takes 90 minutes, and the capstone a day or two.

# %%
from mlops_lab import course

course.lifecycle("grade")

# %% [markdown]
# ## Run and look
#
# Where you stand, over all stages:

# %%
import shutil
from pathlib import Path

import numpy as np
from IPython.display import Markdown

from mlops_lab import data, grade, store, validate
from mlops_lab.grade.handout import hand_out
from mlops_lab.store.shipped import shipped_models

if not Path("models").is_dir():
    shutil.copytree(shipped_models(), "models")
grade.progress()

# %% [markdown]
# A check looks at what an answer *does*. This one is for data-3, and a wrong answer is given on purpose: whole-number division. Look
# at the card: what was expected, what was received, and a hint for *this* mistake. Run the cell again: the hint grows.


# %%
def prepare_wrong(images):
    return (np.asarray(images) // 255).reshape(-1, 28, 28, 1).astype("float32")


grade.check("data-3", prepare_wrong, progress_file=".mlops-lab/example.json")

# %% [markdown]
# **Predict, then run.** The right answer is 0.1, in float32. A check compares with `==`. How many of 256 right pixel values does it accuse,
# when it computes its own values in float64?

# %% tags=["predict", "stub"]
guess = ...  # 0 to 256

# %% tags=["predict", "solution"]
guess = 0

# %%
pixels = np.arange(256)
accused = (pixels.astype("float32") / np.float32(255) != pixels / 255).sum()
course.reveal(guess, int(accused))

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# The two differ by at most 0.00000003: compare numbers with a point to a tolerance.

# %% [markdown]
# **Predict, then run.** A PNG of 12 kB may hold 100 million pixels. How many megabytes does a server need that decodes it as float32?

# %% tags=["predict", "stub"]
guess = ...  # megabytes

# %% tags=["predict", "solution"]
guess = 400

# %%
side, bytes_each = 10_000, 4
course.reveal(guess, side * side * bytes_each // 10**6)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# The size of the body says nothing: look at the header before you decode.

# %% [markdown]
# ## 1. Read a report and repair
#
# > **grade-1.** The folder `repair/` holds a classmate's `api.py`, `test_api.py`, `Dockerfile` and `requirements.txt`, and `report.md`,
# > what a grader said. There are six faults. Repair them; change fewer than 40 lines: it is theirs.

# %% tags=["stub"] mlops_lab={"exercise": "grade-1"}
if not Path("repair").exists():
    hand_out("grade-1", "repair")
Markdown(Path("repair/report.md").read_text())

# %% tags=["solution"] mlops_lab={"part_of": "grade-1"}
if not Path("repair").exists():
    hand_out("grade-1", "repair")


def edit(name, *pairs):
    path = Path("repair", name)
    text = path.read_text()
    for old, new in pairs:
        text = text.replace(old, new)
    path.write_text(text)


caught = """    try:
        image = Image.open(io.BytesIO(data))  # the header only
        if image.size == (28, 28):
            image.load()
    except ERRORS as error:
        return jsonify(error=f"The body is not an image: {error}"), 400
"""

# %% tags=["solution"] mlops_lab={"exercise": "grade-1"}
edit(
    "api.py",
    ("133278", "133280"),
    ("\napp.run(port=5000)", '\nif __name__ == "__main__":\n    app.run(port=5000)'),
    (".reshape(1, 28, 28, 1)\n", ".reshape(1, 28, 28, 1) / 255\n"),
    ("    image = Image.open(io.BytesIO(data))\n", caught),
)
edit("Dockerfile", ('"127.0.0.1:5000", "api:app"', '"0.0.0.0:5000", "api:app"'))
edit("test_api.py", ("right / 40 >= 0.8\n", "right / 40 >= 0.84\n"))  # what the manifest promised

# %% tags=["check"]
grade.check("grade-1", "repair")

# %% [markdown] tags=["hint"]
# Each row of the report names a check of the stages 4 to 6; the hint there is the one that you had. A test that fails on a bad server is
# right: repair the server. `except: pass` makes every bad request a success.

# %% [markdown]
# ## 2. Write a check with a hint
#
# > **grade-2.** `check_prepare(prepare)` is a check for data-3. It returns a dict from a word to the hint that a student is to read, empty where
# > `prepare` is right. Three words are fixed: `maximum` (the scale depends on the images), `whole-numbers` (what lies between 0 and 1
# > is gone), `changed` (the argument is not what it was); other mistakes get words of yours. Where several things are wrong, all are in
# > it. It never raises, and never changes the student's arrays.
#
# Six right answers in different styles must pass; nine wrong ones fail.


# %% tags=["stub"] mlops_lab={"exercise": "grade-2"}
def check_prepare(prepare):
    images = np.arange(5 * 784).reshape(5, 28, 28) % 256
    right = (images / 255).reshape(-1, 28, 28, 1)
    return {} if (prepare(images) == right).all() else {"values": "Divide by 255."}


# %% tags=["solution"] mlops_lab={"part_of": "grade-2"}
import numpy as np

HINTS = {
    "maximum": "The scale depends on the images: a dark image became brighter than it is.",
    "whole-numbers": "Only 0 and 1 are left: what lies between is gone.",
    "changed": "The images that were given are not what they were.",
    "raises": "The function stopped with an error.",
    "array": "There is no array of numbers.",
    "shape": "The shape is another than (images, 28, 28, 1).",
    "dtype": "The type is another than float32.",
    "values": "The values are others than those of training.",
}


def near(batch, wanted):
    return np.allclose(batch, wanted, rtol=0, atol=1e-5)


def mistakes(batch, whole):
    """Which known mistake gives these values?"""
    own = np.maximum(whole.max(axis=(1, 2, 3), keepdims=True), 1)
    if near(batch, whole / whole.max()) or near(batch, whole / own):
        return ["values", "maximum"]
    return ["values", "whole-numbers"] if set(np.unique(batch)) <= {0, 1} else ["values"]


# %% tags=["solution"] mlops_lab={"part_of": "grade-2"}
def words(prepare, images):
    before, found = images.copy(), []
    try:
        batch = prepare(images)
    except Exception:
        return ["raises"]
    if not np.array_equal(images, before):
        found.append("changed")
    if not isinstance(batch, np.ndarray) or batch.dtype.kind not in "biuf":
        return [*found, "array"]
    whole = before.reshape(-1, 28, 28, 1).astype(np.float64)
    if batch.shape != whole.shape:
        return [*found, "shape"]
    if batch.dtype != np.float32:
        found.append("dtype")
    return found if near(batch, whole / 255) else found + mistakes(batch, whole)


# %% tags=["solution"] mlops_lab={"exercise": "grade-2"}
def check_prepare(prepare):
    images = np.random.default_rng(0).integers(0, 200, (5, 28, 28)).astype(np.uint8)  # none is quite white
    images[0] //= 2
    given = [images, images[0], images[:1], images.astype(np.float32)]
    said = [word for one in given for word in words(prepare, one)]
    return {word: HINTS[word] for word in said}


# %% tags=["check"]
grade.check("grade-2", check_prepare)

# %% [markdown] tags=["hint"]
# Compute what each likely mistake *would* give, and compare: that is a fingerprint, and no guess. Copy the images before you hand them over.
# Collect the words; the first must not hide the second.

# %% [markdown]
# ## 3. Attack, then defend
#
# > **grade-3.** `attacks.py` defines `attacks`: a list of twelve dicts, each a request. `path` (by default the route of `clothes`), `method`
# > (`"POST"`), `kind` (`"image/png"`), `body` (`b""`), `pause` (seconds that half of the body is held back), `times` (sent at once). At
# > least eight of ten weak servers fall to them; and your own `api.py` beside it survives ours: right statuses, memory within 50 MB,
# > health in 250 ms.

# %% tags=["stub"] mlops_lab={"exercise": "grade-3"}
START = """attacks = [{"body": b"no image " * number} for number in range(1, 13)]
"""
if not Path("attacks.py").exists():  # what you have written stays
    Path("attacks.py").write_text(START)
if not Path("api.py").exists():
    shutil.copyfile(Path(course.__file__).parent / "starter" / "api.py.txt", "api.py")
print(Path("attacks.py").read_text())

# %% tags=["solution"] mlops_lab={"part_of": "grade-3"}
# %%writefile attacks.py
import io

from PIL import Image


def png(width, height, mode="L"):
    buffer = io.BytesIO()
    Image.new(mode, (width, height)).save(buffer, format="PNG")
    return buffer.getvalue()


FORM = "multipart/form-data; boundary=x"
attacks = [
    {"body": b"this is no image"},
    {"body": png(28, 28)[:60]},
    {"body": png(6000, 6000, "1")},
    {"body": bytes(1_200_000)},
    {"body": png(28, 28, "RGB")},
    {"body": png(1, 1)},
    {"method": "GET", "path": "/models/..%2f..%2fetc/v1"},
    {"body": png(28, 28), "pause": 2.0},
    {"body": png(28, 28), "times": 50},
    {"kind": FORM, "body": b'--x\r\nContent-Disposition: form-data; name="picture"\r\n\r\na\r\n--x--'},
    {"kind": "application/json", "body": b"[" * 50_000},
    {"method": "DELETE"},
]

# %% tags=["solution"] mlops_lab={"exercise": "grade-3"}
# Your server of notebook 4 defends itself; so does the repaired one: it looks at the header before it decodes.
text = Path("repair/api.py").read_text()
Path("api.py").write_text(text.replace("models/clothes.onnx", "models/clothes/1/model.onnx"))

# %% tags=["check"]
grade.check("grade-3", "attacks.py")

# %% [markdown] tags=["hint"]
# Think of what its author took for granted: that it is an image, of that size, whole, small, in one piece, from one client, under that
# name, with that method. A thread for each request keeps a slow client from stopping the others.

# %% [markdown]
# ## 4. The model card
#
# > **grade-4.** `card/README.md`: purpose, data, figures with intervals, groups, limits, versions, and how to ask it. Each heading has a
# > sentence, the worst class is named, and each figure is one of the evidence in `card/evidence/`, to the digits shown.
#
# `assess` measures the digits model, and `evidence` is what it saw; the lab's own card is made of the same figures.

# %%
import json

assessed = validate.assess(store.ModelStore("models").get("digits", 1))
evidence = assessed.evidence()
Path("card/evidence").mkdir(parents=True, exist_ok=True)
for name, values in evidence.items():
    Path(f"card/evidence/{name}.json").write_text(json.dumps(values))
quality = evidence["quality"]
print("accuracy", quality["accuracy"], quality["intervals"]["accuracy"])
for name, one in quality["classes"].items():
    print(name, one["recall"], one["recall_interval"])

# %% tags=["stub"] mlops_lab={"exercise": "grade-4"}
START = """# digits v1

Accuracy 0.99. It works on all digits.
"""
if not Path("card/README.md").exists():
    Path("card/README.md").write_text(START)
print(Path("card/README.md").read_text())


# %% tags=["solution"] mlops_lab={"part_of": "grade-4"}
def figures(quality):
    low, high = quality["intervals"]["accuracy"]
    worst, one = min(quality["classes"].items(), key=lambda pair: pair[1]["recall"])
    return f"""
## Figures

The accuracy is {quality["accuracy"]:.3f}, and lies between {low:.3f} and {high:.3f} with 95% confidence.

## Groups

Of the class {worst} the fewest are found.

| class | recall |
|---|---|
| {worst} | {one["recall"]:.3f} |
"""


# %% tags=["solution"] mlops_lab={"part_of": "grade-4"}
def card(quality, model):
    """A card in the order in which people ask."""
    return f"""# digits v1

It reads one handwritten digit on a grey image.

## Purpose

It shows students how a model is served. It is not meant for cheques.

## Data

Trained on the digits that come with scikit-learn, grey; measured on images that it did not learn from.
{figures(quality)}
## Limits

It has never seen a letter, two digits on one image, or a digit that somebody crossed out.

## Versions

These are the figures of v1, the first that was published, with {model["number_of_parameters"]:,} numbers.

## How to ask it

Send one image with `curl --data-binary @image.png http://127.0.0.1:8000/models/digits/v1`.
"""


# %% tags=["solution"] mlops_lab={"exercise": "grade-4"}
Path("card/README.md").write_text(card(quality, evidence["model"]))

# %% tags=["check"]
grade.check("grade-4", "card/README.md")

# %% [markdown] tags=["hint"]
# Copy figures from the evidence and round the last digit; a figure from memory was measured on other images. Under *limits* stands what it
# has never seen.

# %% [markdown]
# ## 5. Capstone: the whole life
#
# > **grade-5.** Deliver the folder `capstone/`: a model of your own for images of your own, and everything that belongs to its life. Digits,
# > ten kinds of your own drawings, garments in new clothes: all of one size, at least two classes, at least 40 held out.
#
# | file | what it does |
# |---|---|
# | `capstone.json` | `{"name": "digits", "classes": ["0", "1", …]}`, in the order of the labels |
# | `data/train.npz`, `data/heldout.npz` | `images` (n, height, width) uint8 and `labels` (n,); no image is in both |
# | `train.py` | `python train.py 1` leaves version 1 in `models/NAME/1/`, `python train.py 2` version 2, which is another; two minutes at most where `FAST=1` stands in the environment |
# | `api.py` | `/readyz`, and `/models/NAME/v1` for GET and POST; after a restart also `v2` |
# | `test_server.py` | `test_server(url)`, as in validate-5, for your model |
# | `drift.py`, `release.py` | `watch(reference, stream)` and `release(version, actions)`, as in monitor-5 and deploy-6 |
# | `Dockerfile`, `compose.yaml`, `README.md` | as in deploy-1, deploy-3 and grade-4, with `evidence/` |
#
# Six parts of five points: it is trained, served, tested by *your* tests, packaged, watched, and your version 2 is released. What cannot be
# tried because something before it failed is *blocked*, and costs once.

# %% tags=["stub"] mlops_lab={"exercise": "grade-5"}
Path("capstone").mkdir(exist_ok=True)
if not Path("capstone/capstone.json").exists():
    Path("capstone/capstone.json").write_text('{"name": "mine", "classes": ["one", "two"]}')
sorted(str(path) for path in Path("capstone").rglob("*"))

# %% tags=["solution"] mlops_lab={"part_of": "grade-5"}
digits = data.load("digits")
shutil.rmtree("capstone", ignore_errors=True)
Path("capstone/data").mkdir(parents=True)
about = {"name": "digits", "classes": list(digits.classes)}
Path("capstone/capstone.json").write_text(json.dumps(about))
for name, split in (("train", digits.train), ("heldout", digits.test)):
    np.savez_compressed(f"capstone/data/{name}.npz", images=split.images, labels=split.labels)

# %% tags=["solution"] mlops_lab={"part_of": "grade-5"}
# %%writefile capstone/train.py
import json
import os
import sys
from pathlib import Path

import numpy as np

here = Path(__file__).parent
version = int(sys.argv[1])
name = json.loads((here / "capstone.json").read_text())["name"]
data = np.load(here / "data" / "train.npz")
x = data["images"].reshape(len(data["images"]), -1) / 255
wanted = np.eye(data["labels"].max() + 1)[data["labels"]]
weights = np.random.default_rng(version).normal(0, 0.01, (x.shape[1], wanted.shape[1]))
for _ in range(300 if os.environ.get("FAST") else 3000):
    said = np.exp(x @ weights)
    weights -= x.T @ (said / said.sum(axis=1, keepdims=True) - wanted) / len(x)
target = here / "models" / name / str(version)
target.mkdir(parents=True, exist_ok=True)
np.savez(target / "weights.npz", weights=weights)
print("trained version", version)

# %% tags=["solution"] mlops_lab={"part_of": "grade-5"}
# %%writefile capstone/api.py
import io
import json
from pathlib import Path

import numpy as np
from flask import Flask, request
from PIL import Image

app, here = Flask(__name__), Path(__file__).parent
about = json.loads((here / "capstone.json").read_text())
found = sorted((here / "models" / about["name"]).glob("*/weights.npz"))
MODELS = {f"v{path.parent.name}": np.load(path)["weights"] for path in found}
SIZE = (8, 8)


def known(name, version):
    return name == about["name"] and version in MODELS


def unknown():
    return {"error": f"There are {sorted(MODELS)} of {about['name']}."}, 404


@app.get("/readyz")
def ready():
    return {"ready": bool(MODELS)}, 200 if MODELS else 503


# %% tags=["solution"] mlops_lab={"part_of": "grade-5"}
# %%writefile -a capstone/api.py


@app.get("/models/<name>/<version>")
def info(name, version):
    if not known(name, version):
        return unknown()
    count = MODELS[version].size
    return {"name": name, "version": version, "description": "digits", "number_of_parameters": count}


@app.post("/models/<name>/<version>")
def classify(name, version):
    if not known(name, version):
        return unknown()
    try:
        image = Image.open(io.BytesIO(request.get_data()))
        if image.size != SIZE:
            return {"error": f"Images have {SIZE} pixels; this one has {image.size}."}, 400
        pixels = np.asarray(image.convert("L"), float).reshape(-1) / 255  # as in training
    except (OSError, ValueError, SyntaxError) as error:
        return {"error": f"This is no image: {error}"}, 400
    said = np.exp(pixels @ MODELS[version])
    best = about["classes"][int(said.argmax())]
    return {"label": best, "probabilities": (said / said.sum()).tolist()}


# %% tags=["solution"] mlops_lab={"part_of": "grade-5"}
# %%writefile capstone/test_server.py
import json

import numpy as np
import requests

from mlops_lab.image import encode_png

PNG = {"Content-Type": "image/png"}


def test_server(url):
    address = f"{url}/models/digits/v1"
    told = requests.get(address, timeout=5)
    assert told.status_code == 200 and told.json()["name"] == "digits"
    assert 400 <= requests.post(address, data=b"no image", headers=PNG, timeout=5).status_code < 500
    with open("capstone.json") as file:
        classes = json.load(file)["classes"]
    held_out = np.load("data/heldout.npz")
    right, count = 0, 40
    for pixels, label in zip(held_out["images"][:count], held_out["labels"][:count], strict=True):
        answer = requests.post(address, data=encode_png(pixels), headers=PNG, timeout=5)
        assert answer.status_code == 200
        right += answer.json()["label"] == classes[label]
    assert right >= 0.85 * count, f"{right} of {count} are right"


# %% tags=["solution"] mlops_lab={"part_of": "grade-5"}
# %%writefile capstone/drift.py
import numpy as np
from scipy.stats import chi2_contingency, ks_2samp

WINDOW, STEP, RISK = 200, 50, 0.002


def moved(reference, window):
    found = {name: ks_2samp(reference[name], window[name]).pvalue for name in window if name != "class"}
    counts = np.array([np.bincount(one["class"], minlength=10) for one in (reference, window)])
    found["class"] = chi2_contingency(counts[:, counts.sum(axis=0) > 0]).pvalue
    name = min(found, key=found.get)
    return name, found[name] * len(found)


def watch(reference, stream):
    alarms, before, ringing = [], False, False
    for end in range(WINDOW, len(stream["class"]) + 1, STEP):
        name, chance = moved(reference, {key: values[end - WINDOW : end] for key, values in stream.items()})
        rings = chance < RISK
        if rings and before and not ringing:
            alarms.append((end, name))
            ringing = True
        ringing, before = ringing and rings, rings
    return alarms


# %% tags=["solution"] mlops_lab={"part_of": "grade-5"}
# %%writefile capstone/release.py
def release(version, actions):
    before, step, switched = actions["production"](), "stage", False
    try:
        actions["stage"](version)
        for step in ("integration", "acceptance", "load"):
            actions[step]()
        step, switched = "switch", True
        actions["switch"](version)
        step = "verify"
        actions["verify"]()
    except BaseException as error:
        if switched:
            actions["switch"](before)
        actions["note"](f"version {version} failed at {step}: {error}")
        if isinstance(error, Exception):
            return False
        raise
    finally:
        actions["clear"]()
    actions["note"](f"version {version} is in production; before it was {before}")
    return True


# %% tags=["solution"] mlops_lab={"part_of": "grade-5"}
DOCKERFILE = """FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY models models
COPY capstone.json api.py ./
USER 10001
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]
CMD ["waitress-serve", "--listen=0.0.0.0:8000", "api:app"]
"""
COMPOSE = """services:
  server:
    build: .
    image: digits:1.0
    deploy: {replicas: 2}
    mem_limit: 512m
    restart: unless-stopped
    volumes: ["./models:/app/models:ro"]
    healthcheck: {test: [CMD, python, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz')"]}
  proxy:
    image: nginx:1.30
    ports: ["8000:80"]
    depends_on: {server: {condition: service_healthy}}
"""
Path("capstone/Dockerfile").write_text(DOCKERFILE)
Path("capstone/compose.yaml").write_text(COMPOSE)
Path("capstone/requirements.txt").write_text("flask==3.1.2\nnumpy==2.3.4\npillow==12.0.0\nwaitress==3.0.2\n")

# %% tags=["solution"] mlops_lab={"exercise": "grade-5"}
import os
import subprocess
import sys

train = [sys.executable, "train.py", "1"]
print(subprocess.run(train, cwd="capstone", env={**os.environ, "FAST": "1"}, capture_output=True, text=True).stdout)
weights = np.load("capstone/models/digits/1/weights.npz")["weights"]


def own(images):
    said = np.exp(images.reshape(len(images), -1) / 255 @ weights)
    return said / said.sum(axis=1, keepdims=True)


quality = validate.evaluate(own, digits).to_dict()
model = {"name": "digits", "version": 1, "number_of_parameters": weights.size}
Path("capstone/evidence").mkdir(exist_ok=True)
for name, values in {"quality": quality, "model": model}.items():
    Path(f"capstone/evidence/{name}.json").write_text(json.dumps(values))
Path("capstone/README.md").write_text(card(quality, model))

# %% tags=["check"]
grade.check("grade-5", "capstone")

# %% [markdown] tags=["hint"]
# Begin with the smallest whole: two kinds of drawings, a model of ten lines, an `api.py` that answers. Then make each part better. Every
# exercise of the stages 4 to 7 is a part of it.

# %% [markdown]
# ## Stretch
#
# * Exchange `attacks.py` with a neighbour: whose server falls?
# * `mlops-lab grade . --html report.html` is what your teacher sees. Break one of your answers on purpose: does its hint help?
# * Write an exercise of your own in ten lines: `mlops-lab grade . --rubric FOLDER` reads it. Which wrong answers do you try it on?
#
# ## Where it goes wrong
#
# | what you see | what it is |
# |---|---|
# | it passes, and 212 lines differ | you wrote your own: whose is it now? |
# | the test passes now | you repaired the test, and the server is as it was |
# | a right answer failed by 6e-8 | numbers with a point, compared with `==` |
# | a right answer failed for its style | a check that reads the code, instead of trying it |
# | all twelve attacks do the same | one idea: think of size, number, slowness, names, types |
# | the honest client is refused as well | a server that says no to all is safe, and useless |
# | 0.99 on the card, 0.97 in the evidence | from memory: which images? |
# | it starts only on your machine | a path of your own disk stands in a file |
# | version 2 is version 1 | the same digest of weights under a new number |

# %% [markdown]
# ## What you have seen
#
# * A report is read from what was seen, not from what was lost.
# * A check is a program with mutants of its own: right answers it must not accuse, and wrong ones it must not miss.
# * Whoever wrote a server knows best what nobody would ever send. Others send it.
# * A card whose figures do not hold is worse than none.
#
# ## The same from a terminal
#
# ```console
# $ mlops-lab grade .                          # everything, with held-out cases
# $ mlops-lab grade . --only grade-3
# $ mlops-lab validate digits --version 1      # evidence and card, beside the version
# $ mlops-lab grade capstone/                  # the capstone alone
# ```

# %%
grade.progress()
