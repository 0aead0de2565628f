# %% [markdown]
# # Stage 4: serve
#
# A trained model in a notebook is of no use to anybody else. In this stage you put it behind an **inference server**: a
# program that receives images over HTTP, runs the model on each, and sends the predictions back. Any program that speaks
# HTTP can then use the model, in any language, without Python, Keras or your notebook.
#
# **What you will be able to do**
#
# * write the course's inference server, step by step, in one file `api.py` that grows,
# * name its five duties, and see which of them fails,
# * answer clients that are wrong, and clients that come at the same time,
# * serve many models and versions with one program, and feed one model into the next.
#
# Run the cells from top to bottom with **Shift + Enter**. It takes 60 to 90 minutes with the exercises, and no network.

# %%
from mlops_lab import course

course.lifecycle("serve")

# %% [markdown]
# ## Run and look
#
# Fashion-MNIST comes with the package; here we need its 10,000 *test* images, which the model has never seen. A server
# serves a *models folder*: `models/clothes/1` is version 1 of the model `clothes`. Two trained models are included.

# %%
import shutil
import subprocess
from pathlib import Path

import requests

from mlops_lab import data, grade, serve, store, widgets
from mlops_lab.image import encode_png
from mlops_lab.store.shipped import shipped_models

if not Path("models").is_dir():  # beside this notebook, where your own server will look for them
    shutil.copytree(shipped_models(), "models")
dataset = data.load("fashion-mnist")
models = store.ModelStore("models")
models

# %% [markdown]
# `serve.start` loads the models and answers in the background, so the cell returns at once.

# %%
server = serve.start(models)
server

# %% [markdown]
# `http://127.0.0.1` is this machine, and only this machine reaches it; the number behind the colon is the *port*. Keep an
# eye on **generation**: run the cell again, and a new server takes the place of the old one on the same port. The header
# `X-Lab-Generation` of each answer says which of them answered, so you never talk to yesterday's code unawares.
#
# Two HTTP methods are enough. `GET` reads something and changes nothing:

# %%
info = requests.get(f"{server.url}/models/clothes/v1").json()
for key in ("name", "version", "framework", "number_of_parameters"):
    print(f"{key}: {info[key]}")

# %% [markdown]
# `POST` sends something, the *body*. Here it is an image, as the bytes of a PNG file.

# %%
image = encode_png(dataset.test.images[0])
PNG = {"Content-Type": "image/png"}
answer = requests.post(f"{server.url}/models/clothes/v1", data=image, headers=PNG)
print(answer.status_code, answer.json()["predictions"][0]["label"])

# %% [markdown]
# A client in Python sends the same request and draws the answer. With many images it sends one batch, which is much
# faster than one request for each.

# %%
client = serve.Client(server)
predictions = client.classify("clothes", "v1", dataset.test.images[:200])
right = sum(one.class_index == label for one, label in zip(predictions, dataset.test.labels[:200], strict=True))
print(f"{right} of {len(predictions)} are right")
predictions[0]

# %% [markdown]
# Now without code. Pick a garment and press **Send**: what you sent, what the model sees, its ten probabilities, and the
# exchange. *as curl* and *as requests* are the same request as code, which runs as it is.
#
# *Try*: set *Show* to *wrongly classified, most confident first*. Which mistakes would you have made? Then type `v9`
# into *Version*: what does the server say?

# %%
sender = widgets.send(server, dataset)
sender

# %% [markdown]
# The other model reads handwritten digits. Draw one with the mouse, a finger, or the keyboard. *Try*: a 7, small, in a
# corner, with *Centre* off; then a letter. A classifier always answers with one of its classes.

# %%
paper = widgets.draw(server, data.load("digits"), "digits", "v1")
paper

# %% [markdown]
# ## 1. GET: describe the model
#
# From here on you write a server of your own, with [Flask](https://flask.palletsprojects.com), in one file: `api.py`. It
# stands beside this notebook. **Double-click it in the list of files on the left, edit it there, and save it** with
# Ctrl + S; each check then starts your file in a process of its own, on a free port.
#
# > **serve-1.** Let `GET /models/clothes/v1` answer with JSON: `name` (`clothes`), `version` (`v1`), `description`, and
# > `number_of_parameters` (the course says 133280; why 44426 is right as well you saw in stage 3). Everything else gets 404.

# %% tags=["stub"] mlops_lab={"exercise": "serve-1"}
starter = Path(course.__file__).parent / "starter" / "api.py.txt"
if not Path("api.py").exists():  # what you have written stays
    shutil.copyfile(starter, "api.py")
print(Path("api.py").read_text())

# %% tags=["solution"] mlops_lab={"exercise": "serve-1"}
# %%writefile api.py
from flask import Flask

app = Flask(__name__)


@app.route("/models/clothes/v1", methods=["GET"])
def info():
    return {
        "version": "v1",
        "name": "clothes",
        "description": "Classify images containing articles of clothing",
        "number_of_parameters": 133280,
    }


if __name__ == "__main__":
    app.run(debug=True)

# %% tags=["check"]
grade.check("serve-1", "api.py")

# %% [markdown] tags=["hint"]
# Flask turns a `dict` into JSON, and says so in `Content-Type`. Text that merely looks like a dictionary has single
# quotes, which no other language reads.

# %% [markdown]
# The last two lines run only when you type `python api.py` in a terminal, and that is as it should be: `app.run` does not
# come back, so a cell with it would never end, and `debug=True` starts Python a second time, which a kernel does not
# survive. `serve.start` runs the file beside the notebook instead, and again whenever you save it:

# %%
own = serve.start("api.py")
print(own)
requests.get(f"{own.url}/models/clothes/v1").text

# %% [markdown]
# **Predict, then run.** The route above is made for GET. Which status does a POST get?

# %% tags=["predict", "stub"]
guess = ...  # a number, such as 200

# %% tags=["predict", "solution"]
guess = 405


# %%
def posted():
    return requests.post(f"{own.url}/models/clothes/v1", data=image, headers=PNG).status_code


course.reveal(guess, posted)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# 405, *method not allowed*: the address is right, the method is not. (Until serve-2 is done.)

# %% [markdown]
# ## 2. POST: the five duties
#
# An inference server **takes the image out** of the request, **prepares** it, **applies the model**, **packages** the
# answer, and **sends** it. Each is worth a point.
#
# > **serve-2.** Let `POST /models/clothes/v1` answer with `label` (a name) and `probabilities` (ten numbers). The image
# > comes as the body, or in the form field `image`, as PNG or JPEG of 28×28 pixels.
#
# The model file `models/clothes/1/model.onnx` loads in milliseconds:
# `onnxruntime.InferenceSession(path)`, and then `session.run(None, {session.get_inputs()[0].name: batch})`. With Keras it
# is `keras.models.load_model("models/clothes/1/model.keras")`, which takes some ten seconds at each start. The labels are
# in `models/clothes/1/manifest.json`, under `outputs`.

# %% tags=["stub"] mlops_lab={"exercise": "serve-2"}
# The file as it is now. Open it on the left, add the second route, save it, and run the check.
print(Path("api.py").read_text())

# %% tags=["solution"] mlops_lab={"exercise": "serve-2"}
# %%writefile api.py
import io
import json
from pathlib import Path

import numpy as np
import onnxruntime
from flask import Flask, request
from PIL import Image

app = Flask(__name__)
manifest = json.loads(Path("models/clothes/1/manifest.json").read_text())
LABELS = manifest["outputs"][0]["labels"]
model = onnxruntime.InferenceSession("models/clothes/1/model.onnx")


@app.get("/models/clothes/v1")
def info():
    keys = ("name", "description", "number_of_parameters")
    return {"version": "v1", **{key: manifest[key] for key in keys}}


@app.post("/models/clothes/v1")
def classify():
    file = request.files.get("image")
    data = file.read() if file else request.get_data()  # 1 take the image out
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)
    batch = pixels.reshape(1, 28, 28, 1) / 255  # 2 prepare it, as in training
    row = model.run(None, {model.get_inputs()[0].name: batch})[0][0]  # 3 apply the model
    return {"label": LABELS[int(row.argmax())], "probabilities": row.tolist()}  # 4 package it, 5 send it as JSON


# %% tags=["check"]
grade.check("serve-2", "api.py")

# %% [markdown] tags=["hint"]
# `request.get_data()` holds the body, `request.files.get("image")` a form field. `PIL.Image.open(io.BytesIO(data))` reads
# PNG and JPEG. JSON knows Python's numbers and not NumPy's: `row.tolist()`.

# %% [markdown]
# **Predict, then run.** Somebody forgets to divide by 255. Of the first 2,000 test images, the right server recognises
# 0.92. How many does this one?

# %% tags=["predict", "stub"]
guess = ...  # between 0 and 1

# %% tags=["predict", "solution"]
guess = 0.1

# %%
import onnxruntime

session = onnxruntime.InferenceSession("models/clothes/1/model.onnx")


def without_dividing():
    batch = dataset.test.images[:2000, :, :, None].astype("float32")
    found = session.run(None, {session.get_inputs()[0].name: batch})[0].argmax(axis=1)
    return float((found == dataset.test.labels[:2000]).mean())


course.reveal(guess, without_dividing)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# Still right for most, and so nobody notices. A test that asks for 0.8 would let it pass.

# %% [markdown]
# That is *training-serving skew*: the server prepares its images otherwise than the training did. The check of serve-2
# finds it by comparing probabilities, not accuracy.
#
# ## 3. When the client is wrong
#
# Status codes that begin with 4 say *your request is wrong*, those with 5 *I have failed*. Look at ours, for something
# that is no image:

# %%
answer = requests.post(f"{server.url}/models/clothes/v1", data=b"not an image", headers=PNG)
print(answer.status_code, answer.json()["error"])
answer = requests.get(f"{server.url}/models/cloths")
print(answer.status_code, answer.json()["error"])

# %% [markdown]
# > **serve-3.** Answer twelve wrong requests with the right 4xx and JSON that has `error`: nothing, something that is no
# > image, 5,000×5,000 pixels, a form field of another name … A colour image is served or refused, never taken for three.
# > Your own bugs must still be 500.

# %% tags=["stub"] mlops_lab={"exercise": "serve-3"}
# The file as it is now. What can go wrong between the request and the pixels? Catch that, and only that.
print(Path("api.py").read_text())

# %% tags=["solution"] mlops_lab={"part_of": "serve-3"}
# %%writefile images.py
"""From the bytes of a request to pixels, or a sentence about what is wrong with them."""

import io

import numpy as np
from PIL import Image

ERRORS = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


class BadImage(Exception):
    """The client sent something else than one image of the right size."""


def decode(data, size):
    if not data:
        raise BadImage("There is no image: send a PNG or JPEG as the body, or in the form field 'image'.")
    try:
        image = Image.open(io.BytesIO(data))  # reads the header only
        if image.size != size:
            raise BadImage(f"Images have {size} pixels here; this one has {image.size}.")
        return np.asarray(image.convert("L"), np.float32)
    except ERRORS as error:
        raise BadImage(f"This is no image that can be read: {error}") from error


# %% tags=["solution"] mlops_lab={"exercise": "serve-3"}
lines = Path("api.py").read_text().replace("import io\n", "").splitlines()
start = next(number for number, line in enumerate(lines) if "pixels = " in line)
lines[start] = "    pixels = decode(data, (28, 28))"
text = "\n".join(lines).replace("from PIL import Image\n", "\nfrom images import BadImage, decode\n")
text += "\n\napp.register_error_handler(BadImage, lambda error: ({'error': str(error)}, 400))\n"
Path("api.py").write_text(text)
print(text)

# %% tags=["check"]
grade.check("serve-3", "api.py")

# %% [markdown] tags=["hint"]
# `Image.open` reads the header and not the pixels, so look at `image.size` before `convert` unfolds them. Pillow raises
# `UnidentifiedImageError` (an `OSError`), `SyntaxError`, `ValueError` and `DecompressionBombError`. A function of its own
# that decodes, in a second file, is easy to try and keeps the `try` small.

# %% [markdown]
# ## 4. Load once, answer many
#
# > **serve-4.** The same server with `GET /readyz`, which answers 200 once the first prediction can be given, and not
# > before. The model file is opened once, and eight clients at the same time get *their own* answers.

# %% tags=["stub"] mlops_lab={"exercise": "serve-4"}
# When does your file load the model, and who else writes to the variables of a request?
print(Path("api.py").read_text())

# %% tags=["solution"] mlops_lab={"exercise": "serve-4"}
# %%writefile -a api.py


@app.get("/readyz")
def ready():
    return {"ready": True}  # the model was loaded when this file was imported


# %% tags=["check"]
grade.check("serve-4", "api.py")

# %% [markdown] tags=["hint"]
# What stands at the top of the file runs once, before the first request. What a request needs belongs into its function:
# a global variable is shared by all threads.

# %% [markdown]
# ## 5. Many models, many versions
#
# The address names the model and its version, so a new version breaks nobody who asks for the old one, and a model is
# exchanged for another by changing an address. Behind the same route `clothes` is a Keras network and `digits` a scikit-learn model:
# a server is *framework agnostic*, and its clients need not know.
#
# > **serve-5.** `GET` and `POST /models/<name>/<version>` for whatever lies in `models/`: look names up in what you loaded,
# > also `latest`. `GET /models` lists them. An unknown name gets 404 and a list of what there is. Each version has a
# > `manifest.json` that says what its images look like (`inputs`) and what its labels are (`outputs`).

# %% tags=["stub"] mlops_lab={"exercise": "serve-5"}
# Nothing in your code may say "clothes". What does a version tell about itself?
print(Path("models/digits/1/manifest.json").read_text()[-900:])

# %% tags=["solution"] mlops_lab={"part_of": "serve-5"}
# %%writefile registry.py
"""Every version of a models folder, loaded."""

import json
from pathlib import Path

import numpy as np
import onnxruntime


class Model:
    def __init__(self, folder):
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self.input, self.labels = self.manifest["inputs"][0], self.manifest["outputs"][0]["labels"]
        self.size = tuple(self.input["preprocessing"]["size"])[::-1]  # (width, height)
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"))

    def predict(self, pixels):
        shape, (_, high) = self.input["shape"], self.input["range"]
        batch = (pixels.reshape(1, *shape) * (high / 255)).astype(np.float32)
        wanted = [one.name for one in self.session.get_outputs() if one.type == "tensor(float)"][:1]
        return self.session.run(wanted, {self.session.get_inputs()[0].name: batch})[0][0]


def load(folder):
    """Return {name: {number: Model}}."""
    found = {}
    for path in Path(folder).glob("*/*/manifest.json"):
        found.setdefault(path.parts[-3], {})[int(path.parts[-2])] = Model(path.parent)
    return found


# %% tags=["solution"] mlops_lab={"part_of": "serve-5"}
# %%writefile api.py
import registry
from flask import Flask, request
from images import BadImage, decode

app = Flask(__name__)
MODELS = registry.load("models")


class Unknown(Exception):
    """There is no such model or version."""


def find(name, version):
    versions = MODELS.get(name)  # a name is looked up, and never becomes a path
    if versions is None:
        raise Unknown(f"There is no model {name!r}; there are: {', '.join(MODELS)}.")
    number = int(version[1:]) if version[1:].isdigit() else 0
    number = max(versions) if version == "latest" else number
    if number not in versions:
        raise Unknown(f"{name} has no version {version!r}; it has: {', '.join(f'v{one}' for one in versions)}.")
    return versions[number]


app.register_error_handler(BadImage, lambda error: ({"error": str(error)}, 400))
app.register_error_handler(Unknown, lambda error: ({"error": str(error)}, 404))

# %% tags=["solution"] mlops_lab={"exercise": "serve-5"}
# %%writefile -a api.py


@app.get("/readyz")
def ready():
    return {"ready": True}


@app.get("/models")
def listed():
    return {name: [f"v{number}" for number in versions] for name, versions in MODELS.items()}


@app.get("/models/<name>/<version>")
def info(name, version):
    known = find(name, version).manifest
    count = known.get("number_of_parameters", 0)
    described = {"description": known["description"], "number_of_parameters": count}
    return {"name": name, "version": f"v{known['version']}", **described}


@app.post("/models/<name>/<version>")
def classify(name, version):
    model, file = find(name, version), request.files.get("image")
    row = model.predict(decode(file.read() if file else request.get_data(), model.size))
    return {"label": model.labels[int(row.argmax())], "probabilities": row.tolist()}


# %% tags=["check"]
grade.check("serve-5", "api.py")

# %% [markdown] tags=["hint"]
# Read all manifests once, at the start, into a dictionary by name and number. `latest` is the largest *number*: as text,
# `v10` stands before `v9`. `inputs[0]` says `size`, `shape` and `range`: multiply the pixels by `high / 255`.

# %% [markdown]
# ## 6. One model feeds the next
#
# *Chaining*: one model finds the characters of an image, the next one reads them. They talk over HTTP, so each may be
# swapped, moved or scaled alone.
#
# > **serve-6.** `POST /chains/number` takes an image of two to five digits, 8 pixels high, with dark columns between them.
# > Cut it, ask the `digits` model **over HTTP** for each (its server stands in the environment variable `DIGITS_URL`, its
# > route is `/models/digits/v1`), and answer `{"number": "407"}`. Where the inner server fails or hangs, answer 502 or 503
# > with the reason.

# %% tags=["stub"] mlops_lab={"exercise": "serve-6"}
# Columns in which every pixel is 0 separate the digits.
print(Path("api.py").read_text())

# %% tags=["solution"] mlops_lab={"part_of": "serve-6"}
# %%writefile chains.py
import io
import os

import numpy as np
import requests
from flask import request
from PIL import Image

DIGITS = os.environ.get("DIGITS_URL", "http://127.0.0.1:5000") + "/models/digits/v1"


def read(columns):
    square = np.zeros((8, 8), np.uint8)  # a digit stands in the middle of 8×8 pixels, as in training
    square[:, (8 - columns.shape[1]) // 2 :][:, : columns.shape[1]] = columns
    file = io.BytesIO()
    Image.fromarray(square).save(file, format="PNG")
    answer = requests.post(DIGITS, data=file.getvalue(), headers={"Content-Type": "image/png"}, timeout=3)
    answer.raise_for_status()
    return answer.json().get("predictions", [answer.json()])[0]["label"]


def number():
    pixels = np.asarray(Image.open(io.BytesIO(request.get_data())).convert("L"))
    edges = np.flatnonzero(np.diff(pixels.any(axis=0), prepend=False, append=False))  # from left to right
    try:
        return {"number": "".join(read(pixels[:, a:b]) for a, b in zip(edges[::2], edges[1::2], strict=True))}
    except requests.RequestException as error:
        return {"error": f"The digits model did not answer: {error}"}, 502


# %% tags=["solution"] mlops_lab={"exercise": "serve-6"}
# %%writefile -a api.py


import chains

app.post("/chains/number")(chains.number)

# %% tags=["check"]
grade.check("serve-6", "api.py")

# %% [markdown] tags=["hint"]
# `pixels.any(axis=0)` says of each column whether there is ink; where that changes, a digit begins or ends. `requests.post`
# waits for ever unless you pass `timeout=`; it raises a `requests.RequestException` where nobody answers.

# %% [markdown]
# ## Stretch
#
# *Another language.* curl asks your server as well as Python does, and so does JavaScript; the server cannot tell. *as
# curl* above has a line to copy. This cell runs curl where it is installed:

# %%
Path("garment.png").write_bytes(image)
line = f"curl -s --data-binary @garment.png -H Content-Type:image/png {server.url}/models/clothes/v1"
if shutil.which("curl"):
    print(subprocess.run(line.split(), capture_output=True, text=True).stdout[:160], "…")
else:
    print("curl is not installed here. The line would be:", line)

# %% [markdown]
# *gRPC.* The same models on a second port, in TensorFlow Serving's dialect: binary and typed. It takes numbers instead of
# images, so that the first two duties are the client's. A file `.proto` says what may be sent, and a generator makes
# classes of it, in any language. `mlops-lab serve --grpc-port 8500` opens the port; here it is a free one.

# %%
import json
import sys
from importlib.util import find_spec


def over_grpc(address, batch):
    """Return the answer of a server of that dialect to a batch of numbers, and the bytes that were sent."""
    import grpc

    from mlops_lab.serve.grpc_server.protos import tensorflow_pb2, tensorflow_serving_pb2

    shape = tensorflow_pb2.TensorShapeProto(dim=[{"size": side} for side in batch.shape])
    tensor = tensorflow_pb2.TensorProto(dtype="DT_FLOAT", tensor_shape=shape, tensor_content=batch.tobytes())
    asked = tensorflow_serving_pb2.PredictRequest(model_spec={"name": "clothes"}, inputs={"image": tensor})
    with grpc.insecure_channel(address) as channel:
        predict = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        answer = predict(asked.SerializeToString(), timeout=30)
    return tensorflow_serving_pb2.PredictResponse.FromString(answer), asked.ByteSize()


# %%
command = [sys.executable, "-m", "mlops_lab", "serve", "--models", "models", "--port", "0", "--grpc-port", "0"]
batch = (dataset.test.images[:1, :, :, None] / 255).astype("float32")
if find_spec("grpc"):
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as both:
        try:
            lines = [both.stdout.readline(), both.stdout.readline()]  # serving http://…, serving grpc …
            answer, sent = over_grpc(lines[1].split()[-1], batch)
        finally:
            both.terminate()
    row = list(answer.outputs[info["outputs"][0]["name"]].float_val)
    print(f"gRPC: {info['labels'][row.index(max(row))]} {max(row):.4f}, from v{answer.model_spec.version.value}")
    print(f"{sent:,} bytes were sent; as JSON they are {len(json.dumps({'instances': batch.tolist()})):,}")
else:
    print("grpcio is not installed here (pip install 'mlops-lab[grpc]'). It would say: gRPC: Ankle boot, from v1")

# %% [markdown]
# *Several instances.* Two processes, each with its own copy of the model, and a round robin in front. Time them with one
# and with two: with several clients, how many more answers a second are there on your machine?

# %%
from itertools import cycle

instances = [serve.start("api.py", name=f"instance-{number}") for number in (1, 2)]
turn = cycle(instances)


def ask():
    return requests.get(f"{next(turn).url}/models/clothes/v1", timeout=5).status_code


print([ask() for _ in range(6)], [instance.port for instance in instances])
for instance in instances:
    instance.stop()

# %% [markdown]
# > Write `ask` for POST. Then stop one instance in the middle of a hundred requests, and let `ask` try the other one.
#
# ## Where it goes wrong
#
# | what you see | what it is |
# |---|---|
# | the cell with `app.run()` never ends, or the kernel dies | a server in the kernel: use `serve.start("api.py")` |
# | you change the file, the answer stays | an old server holds the port: look at *generation*, at `serve.servers()` |
# | `Address already in use` | the same, seen from the other side: take another port, or end the old one |
# | 405 | the right address, another method |
# | 415, or *not an image* | the header `Content-Type`, or what stands in the body |
# | 500 with a page of HTML | your function raised; `own.output`, or the terminal, has the traceback |
# | right for 83 of 100 | another preparation than in training |
# | somebody else's answer | a global variable between two threads |
# | fine here, nobody else reaches it | it listens on 127.0.0.1; and `debug=True` on `0.0.0.0` gives everybody a Python prompt |

# %% [markdown]
# ## The requests of a server
#
# A server in operation is watched; this one keeps its last thousand requests, and the dashboard counts them.

# %%
for exchange in list(server.requests)[-4:]:
    print(f"{exchange.method} {exchange.path} → {exchange.status}")
widgets.dashboard(server)

# %% [markdown]
# ## What you have seen
#
# * A model becomes useful to others through a server: GET describes it, POST sends an image and returns probabilities.
# * Five duties; four of them fail loudly, and a wrong preparation fails in silence.
# * The address names the model *and its version*.
# * Every error says what was wrong, with a status for programs and a sentence for people.
#
# ## The same from a terminal
#
# ```console
# $ mlops-lab serve --port 8000           # ours; open http://127.0.0.1:8000
# $ flask --app api run --port 5000       # yours
# $ mlops-lab predict garment.png --url http://127.0.0.1:8000
# $ mlops-lab grade . --only serve        # all six, with the held-out cases
# ```
#
# The servers of this notebook end with its kernel. To stop them earlier: `serve.stop_all()`.
#
# **Next:** stage 5, *validate*: is it good enough, for everybody, and under load?

# %%
grade.progress()
