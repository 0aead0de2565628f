# %% [markdown]
# # Stage 4: serve
#
# A trained model in a notebook is of no use to anybody else. In this stage you put it behind an **inference server**:
# a program that receives pictures over HTTP, runs the model on each one, and sends the predictions back.
# Any program that speaks HTTP can then use the model, in any language, without Python, Keras or your notebook.
#
# You will
#
# 1. start a server behind this notebook and look at it,
# 2. list its models (`GET`) and send it a picture (`POST`),
# 3. pick pictures from a gallery or draw them, send them, and look at the predictions,
# 4. read the server's error messages,
# 5. replace the running server by a new one, and stop it.
#
# Run the cells from top to bottom with **Shift + Enter**. It takes about ten minutes, and no network.

# %% [markdown]
# ## 1. Something to classify
#
# Fashion-MNIST came with the package: 70,000 grey pictures of garments, 28×28 pixels each, in ten classes. We only
# need the *test* split here, the 10,000 pictures that the model has never seen.

# %%
from mlops_lab import data, serve, store, widgets

dataset = data.load("fashion-mnist")
dataset

# %% [markdown]
# ## 2. A folder of models
#
# A server serves the models in a *models folder*. Each model has a name, and under the name a folder for each version:
# `models/clothes/1` is version 1 of the model `clothes`. A trained one is included, so you need not train first.

# %%
from pathlib import Path

folder = Path("models") if Path("models").is_dir() else Path("../models")
models = store.ModelStore(folder)
models

# %% [markdown]
# ## 3. Start the server
#
# `serve.start` loads every model of the folder and starts the server in the background. The cell returns immediately,
# and the notebook stays free for other work.

# %%
server = serve.start(models)
server

# %% [markdown]
# Read the box above:
#
# * **address**: `http://127.0.0.1` is this machine, and only this machine can reach it. The number after the colon is
#   the *port*. Many servers can run on one machine as long as each has a port of its own.
# * **generation**: how often you have started this server. Keep an eye on it; it matters in section 9.

# %% [markdown]
# ## 4. List the models: GET
#
# We need two of the HTTP methods. A `GET` reads something and changes nothing. The endpoint `/models`
# lists the models of the server. We send the request with `requests`, the usual Python library for HTTP.

# %%
import requests

answer = requests.get(f"{server.url}/models")
print(answer.status_code)
answer.json()

# %% [markdown]
# `200` is the status code for *OK*. The response is JSON, which Python reads as a dictionary.
#
# One level deeper, `/models/clothes/v1` describes one version.

# %%
info = requests.get(f"{server.url}/models/clothes/v1").json()
for key in ("name", "version", "framework", "number_of_parameters", "labels"):
    print(f"{key}: {info[key]}")

# %% [markdown]
# > **Predict, then run.** The model takes pictures of which size, and in which range does it want its numbers? Say
# > your guess aloud, then look.

# %%
info["input"]

# %% [markdown]
# The pixels of a picture are whole numbers from 0 to 255, but this model was trained on numbers from 0 to 1. The server
# does that division, with the same function that was used in training. A client need not know about it.

# %% [markdown]
# ## 5. Send a picture: POST
#
# A `POST` sends data: the *body* of the request. Here the body is a picture, as the bytes of a PNG file,
# just as it would be on your disk. The header `Content-Type` names their format.

# %%
from mlops_lab.image import encode_png

picture = encode_png(dataset.test.images[0])
print(len(picture), "bytes, starting with", picture[:4])

# %%
answer = requests.post(
    f"{server.url}/models/clothes/v1",
    data=picture,
    headers={"Content-Type": "image/png"},
)
answer.json()

# %% [markdown]
# One entry for each picture that was sent. `label` is the class with the highest probability, `confidence` is that
# probability, and `probabilities` holds all ten, in the order of `labels`.
#
# > **Predict, then run.** What do the ten probabilities add up to?

# %%
sum(answer.json()["predictions"][0]["probabilities"])

# %% [markdown]
# ## 6. A client, so that you write less
#
# `serve.Client` sends the same request, and returns an object that draws itself: the picture beside the bars.

# %%
client = serve.Client(server)
client.classify("clothes", "v1", dataset.test.images[0])

# %% [markdown]
# It also takes many pictures at once. They are sent as one batch, which is much faster than one request for each.

# %%
predictions = client.classify("clothes", "v1", dataset.test.images[:200])

predicted = [prediction.class_index for prediction in predictions]
correct = (dataset.test.labels[:200] == predicted).sum()
print(f"{correct} of {len(predictions)} are correct; one request, {predictions.milliseconds:.0f} ms")

# %% [markdown]
# > **Exercise.** Change the cell above so that it sends all 10,000 test pictures, 250 at a time. Is the accuracy over
# > HTTP the one that the training reported (`info["metrics"]`)? It has to be: if it is not, the server preprocesses
# > the pictures differently from the training. This *training-serving skew* is a common mistake in MLOps.

# %% [markdown]
# ## 7. Send and see
#
# Now without code. Pick a garment, press **Send**, and read the exchange: what you sent, what the model sees, its
# ten probabilities, the request, the status code and the latency. *as curl* and *as requests* have the same request
# as code; copy it into a terminal or a cell and it runs.

# %%
sender = widgets.send(server, dataset)
sender

# %% [markdown]
# > **Try this.**
# >
# > 1. Set *Show* to *wrongly classified, most confident first* and send a few. Which mistakes would you have made?
# > 2. Set *Class* to *Shirt* and *Show* to *least confident first*. Why is `Shirt` the hardest class?
# > 3. Write `v9` into *Version* and press Send. What does the server say? Then put `v1` back.

# %% [markdown]
# The widget can be used from code as well. This is what pressing the button does:

# %%
sender.gallery.picked = 12
sender.send()
print(sender.answer.request, "→", sender.answer.status, sender.answer[0])

# %% [markdown]
# ### Draw it yourself
#
# Two models are on this server; the other one, `digits`, reads handwritten digits. Draw one with the mouse, a finger, a
# pen or the keyboard, and watch the bars while you draw. To the server it makes no difference whether a picture comes
# from your hand or from a data set.

# %%
paper = widgets.draw(server, data.load("digits"), "digits", "v1")
paper

# %% [markdown]
# > **Try this.**
# >
# > 1. Draw a 7 with and without its bar, small, in a corner. Then clear *Centre*. Why does the prediction change?
# > 2. Tick *Invert*. To you it is the same digit; the model has never seen one like it.
# > 3. Draw a letter. A classifier always predicts one of its classes, even with high confidence.

# %% [markdown]
# ## 8. When something is wrong
#
# A good error message says what happened, what was received, and what to do. Request a model that does not exist:

# %%
answer = requests.get(f"{server.url}/models/cloths")
print(answer.status_code)
answer.json()

# %% [markdown]
# `404` means *not found*. The message suggests the closest name.
#
# > **Predict, then run.** Below, the body is not a picture at all. Will the server stop, be silent, or answer? With
# > which status code?

# %%
answer = requests.post(
    f"{server.url}/models/clothes/v1",
    data=b"this is not a picture",
    headers={"Content-Type": "image/png"},
)
print(answer.status_code)
print(answer.json()["error"])

# %% [markdown]
# Status codes that begin with 4 mean *the request is wrong*, those with 5 *the server failed*. A `400` is ours to
# fix. The client raises the same error as a Python exception, with a separate hint:

# %%
from mlops_lab.errors import LabError

try:
    client.classify("clothes", "v7", dataset.test.images[0])
except LabError as error:
    print(error.message)
    print("→", error.hint)

# %% [markdown]
# ## 9. Run it again: generation 2
#
# You will change a model or a line of code and start the server again. In a notebook this is a pitfall: the *old*
# server may still use the port and answer with *old* code, while the cell looks fine.
#
# `serve.start` stops the old one first and reuses its port. Each response names the generation that sent it.
#
# > **Predict, then run.** Will the address change?

# %%
before = server.port
server = serve.start(models)
print("same port:", server.port == before)
server

# %%
answer = requests.get(f"{server.url}/healthz")
print("answered by generation", answer.headers["X-Lab-Generation"])

# %% [markdown]
# The widget of section 7 keeps working: the address is the same, and its next response names the new generation.
#
# ## 10. The requests of the server
#
# A server in operation has to be monitored. This one records its last thousand requests.

# %%
client.classify("clothes", "v1", dataset.test.images[:3])
for exchange in server.requests:
    print(f"{exchange.method} {exchange.path} → {exchange.status} in {exchange.milliseconds:.1f} ms")

# %% [markdown]
# ## 11. Stop
#
# The server stops with the notebook's kernel. To stop it now, and free its port:

# %%
server.stop()
server

# %% [markdown]
# > **Predict, then run.** What does the client say now?

# %%
try:
    client.models()
except LabError as error:
    print(error)

# %% [markdown]
# ## What you have seen
#
# * A model becomes useful to others through a server: `GET` describes it, `POST` sends a picture and returns
#   probabilities.
# * The URL names the model *and its version*, so a new version can be added without breaking clients of the old one.
# * The server preprocesses pictures exactly as the training did.
# * Every error says what was wrong and what to do, with a status code for programs.
#
# **Next:** the same server from a terminal, where it keeps running without the notebook: `mlops-lab serve --port 8000`.
