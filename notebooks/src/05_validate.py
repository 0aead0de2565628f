# %% [markdown]
# # Stage 5: validate
#
# A model that is right for 91 of 100 may be right for other people than yours, may break when an image moves by a pixel, and
# may stall when many ask at once. **Validation** finds that out before your users do, and says no where it has to.
#
# **What you will be able to do**
#
# * compute what a figure means, and how sure it is,
# * say whether version 2 is better, or was lucky,
# * show what an average hides,
# * write tests of a model and of a server that catch bad ones and accuse no good one,
# * measure load as users feel it.
#
# Run the cells from top to bottom with **Shift + Enter**. It takes 60 to 90 minutes with the exercises, and no network.

# %%
from mlops_lab import course

course.lifecycle("validate")

# %% [markdown]
# ## Run and look
#
# `evaluate` asks a model about all 10,000 test images. Each figure has an interval: with other test images it would have
# been another number.

# %%
import shutil
import threading
import time
from pathlib import Path

import numpy as np

from mlops_lab import data, grade, serve, store, validate, widgets
from mlops_lab.store.shipped import shipped_models

if not Path("models").is_dir():
    shutil.copytree(shipped_models(), "models")
models = store.ModelStore("models")
dataset = data.load("fashion-mnist")
model = models.load("clothes", "v1")
images, labels = dataset.test.images, dataset.test.labels
quality = validate.evaluate(model, dataset)
low, high = quality.accuracy_interval
print(f"accuracy {quality.accuracy:.4f}, and with other test images between {low:.3f} and {high:.3f}")

# %% [markdown]
# **Predict, then run.** Recall: of all images of a class, how many were found? Which class has the lowest?

# %% tags=["predict", "stub"]
guess = ...  # a name, such as "Bag"

# %% tags=["predict", "solution"]
guess = "Shirt"

# %%
recalls = {one.name: round(one.recall, 3) for one in quality.classes}
why = f"{min(recalls.values())}; the best has {max(recalls.values())}."
course.reveal(guess, lambda: min(recalls, key=recalls.get), why)

# %%
quality

# %% [markdown]
# Rows of the confusion matrix are what is true, columns what was said. *Try*: select the largest number off the diagonal,
# and look at its images. Which would you have got right?

# %%
server = serve.start(models)
matrix = widgets.confusion(server, dataset, "clothes", "v1")
matrix

# %% [markdown]
# Where does the model look? A square covers each place in turn; the colour says how much its confidence falls.

# %%
validate.explain(model, images[1])

# %% [markdown]
# ## 1. The figures
#
# > **validate-1.** `scores(labels, predicted)` for ten classes returns `accuracy`, then `precision`, `recall` and `f1` (ten
# > numbers each), `confusion` (10×10, rows are true) and `half_width` of the accuracy's 95% interval,
# > 1.96·√(p(1−p)/n). A class that was never predicted has 0, not `nan`.


# %% tags=["stub"] mlops_lab={"exercise": "validate-1"}
def scores(labels, predicted):
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (predicted, labels), 1)
    accuracy = (labels == predicted).mean()
    parts = np.diag(matrix) / np.maximum(matrix.sum(axis=0), 1)
    return {
        "accuracy": accuracy,
        "precision": parts,
        "recall": parts,
        "f1": parts,
        "confusion": matrix,
        "half_width": 0.01,
    }


# %% tags=["solution"] mlops_lab={"exercise": "validate-1"}
def scores(labels, predicted):
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (labels, predicted), 1)
    hits = np.diag(matrix)
    precision = hits / np.maximum(matrix.sum(axis=0), 1)  # of what was said
    recall = hits / np.maximum(matrix.sum(axis=1), 1)  # of what is true
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros(10), where=both > 0)
    accuracy = hits.sum() / len(labels)
    return {
        "accuracy": accuracy,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "confusion": matrix,
        "half_width": 1.96 * np.sqrt(accuracy * (1 - accuracy) / len(labels)),
    }


# %% tags=["check"]
grade.check("validate-1", scores)

# %% [markdown] tags=["hint"]
# Precision asks *of what was said, how much is true?*, recall *of what is true, how much was found?*: one divides by the
# sums of columns, the other by those of rows. `np.add.at` counts pairs.

# %% [markdown]
# ## 2. Is version 2 better?
#
# **Predict, then run.** Two models that are equally good, 0.908 each, are tried on 500 images, again and again. How often
# does the second have the higher figure?

# %% tags=["predict", "stub"]
guess = ...  # a share, 0 to 1

# %% tags=["predict", "solution"]
guess = 0.5

# %%
rng = np.random.default_rng(0)
first, second = rng.binomial(500, 0.908, (2, 2000))
course.reveal(guess, float((second > first).mean()))

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# Whoever asks only which is larger promotes a coin. (It is not quite a half: the two may be equal.)

# %% [markdown]
# > **validate-2.** `compare(labels, first, second)`, where `first` and `second` are predictions for the same images, returns
# > `difference` (second minus first), its 95% `interval` (paired bootstrap: draw the *images* 1,000 times with
# > replacement), and `verdict`: `better`, `worse` or `no difference`.


# %% tags=["stub"] mlops_lab={"exercise": "validate-2"}
def compare(labels, first, second):
    difference = (second == labels).mean() - (first == labels).mean()
    verdict = "better" if difference > 0 else "worse" if difference < 0 else "no difference"
    return {"difference": difference, "interval": (difference, difference), "verdict": verdict}


# %% tags=["solution"] mlops_lab={"exercise": "validate-2"}
def compare(labels, first, second):
    gain = (second == labels).astype(float) - (first == labels)  # of each image: both models saw it
    drawn = np.random.default_rng(0).integers(0, len(labels), (1000, len(labels)))
    low, high = np.percentile(gain[drawn].mean(axis=1), [2.5, 97.5])
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference"
    return {"difference": gain.mean(), "interval": (low, high), "verdict": verdict}


# %% tags=["check"]
grade.check("validate-2", compare)

# %% [markdown] tags=["hint"]
# For each image there are four cases: both right, both wrong, one of them right. Only the last two say anything about the
# difference, and drawing images keeps them together. The verdict is *better* where the whole interval lies above 0.

# %% [markdown]
# ## 3. For everybody?
#
# Fashion-MNIST has no people in it, so nobody is treated unfairly by a model of it. It does show how an average hides groups:
# here they are thirds of how much of the image is garment.

# %%
predicted = model.probabilities(images).argmax(axis=1)
validate.by_group("accuracy", labels, predicted, validate.group_images(images, "coverage"))

# %% [markdown]
# > **validate-3.** `by_group(metric, labels, predicted, groups)` returns `groups` (of each: `value`, `count`, `interval`), the
# > largest `difference` and the lowest `ratio` between groups. A group of fewer than 20 is shown, and neither ranked nor
# > compared. `holdout(groups, per_group, seed)` returns the places of a hold-out with as many of each group, drawn at random.


# %% tags=["stub"] mlops_lab={"exercise": "validate-3"}
def by_group(metric, labels, predicted, groups):
    value = metric(labels, predicted)
    found = {
        name: {"value": value, "count": int((groups == name).sum()), "interval": (value, value)}
        for name in np.unique(groups).tolist()
    }
    return {"groups": found, "difference": 0.0, "ratio": 1.0}


def holdout(groups, per_group, seed):
    return np.arange(per_group * len(np.unique(groups)))


# %% tags=["solution"] mlops_lab={"exercise": "validate-3"}
def by_group(metric, labels, predicted, groups):
    found = {}
    for name in np.unique(groups):
        rows = groups == name
        value, count = metric(labels[rows], predicted[rows]), int(rows.sum())
        half = 1.96 * np.sqrt(max(value * (1 - value), 1e-4) / count)
        found[str(name)] = {"value": value, "count": count, "interval": (value - half, value + half)}
    ranked = [one["value"] for one in found.values() if one["count"] >= 20]
    return {"groups": found, "difference": max(ranked) - min(ranked), "ratio": min(ranked) / max(ranked)}


def holdout(groups, per_group, seed):
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(groups == name))[:per_group] for name in np.unique(groups)]
    return np.sort(np.concatenate(drawn))


# %% tags=["check"]
grade.check("validate-3", (by_group, holdout))

# %% [markdown] tags=["hint"]
# `groups == name` chooses the rows of a group; `metric` takes labels and predictions. One person more or less moves a group of
# three by 33 points: show it, and do not judge by it.

# %% [markdown]
# For people there are invented admissions. Ability is alike in both schools, but the test measures the evening school lower. The
# model never sees the school.

# %%
people = data.load_admissions()
past, now = people.halves()
from sklearn.linear_model import LogisticRegression

admits = LogisticRegression(max_iter=1000).fit(past.features, past.labels).predict(now.features)
validate.by_group("recall", now.labels, admits, now.groups)

# %% [markdown]
# Leaving an attribute out makes nothing fair: other columns know it too. The difference is what a gate asks for.
#
# ## 4. Tests of behaviour
#
# Tests of a *model* do not compare with labels alone. They change the input, and say what must become of the answer.
#
# > **validate-4.** Three tests with `(predict, images, labels)`, where `predict` returns probabilities, that fail by `assert`:
# > `invariance` (moving by one pixel seldom changes the answer), `minimum_functionality` (of each class, some clear images
# > are right), `direction` (more noise must not make it surer). They run against six spoilt models, and a good one.


# %% tags=["stub"] mlops_lab={"exercise": "validate-4"}
def invariance(predict, images, labels):
    assert np.allclose(predict(images), predict(np.roll(images, 1, axis=2)), atol=0.001)


def minimum_functionality(predict, images, labels):
    assert predict(images[:1]).argmax() == labels[0]


def direction(predict, images, labels):
    pass


# %% tags=["solution"] mlops_lab={"exercise": "validate-4"}
def invariance(predict, images, labels):
    before = predict(images).argmax(axis=1)
    for axis in (1, 2):
        for step in (-1, 1):
            after = predict(np.roll(images, step, axis=axis)).argmax(axis=1)
            assert (after == before).mean() > 0.6, "one pixel changes the answer"


def minimum_functionality(predict, images, labels):
    right = predict(images).argmax(axis=1) == labels
    for number in range(10):
        assert right[labels == number].any(), f"class {number} is never recognised"


def direction(predict, images, labels):
    noise = np.random.default_rng(0).normal(0, 60, images.shape)
    noisy = np.clip(images + noise, 0, 255).astype(np.uint8)
    assert predict(noisy).max(axis=1).mean() < predict(images).max(axis=1).mean(), "surer of noise"


# %% tags=["check"]
grade.check("validate-4", (invariance, minimum_functionality, direction))

# %% [markdown] tags=["hint"]
# Probabilities move a little with every pixel; answers seldom. So say *how often* an answer may change. A test that looks at one
# image of one class knows nothing of the others.

# %% [markdown]
# ## 5. Tests of a server
#
# In a test environment a server gets two kinds of tests: *integration* (do its clients find what they rely on?) and *acceptance*
# (does it do its job?).
#
# > **validate-5.** `test_server(url)`: what clients of `/models/clothes/v1` rely on (GET and POST, status, JSON, a wrong request),
# > and whether it does its job (accuracy over HTTP as promised, about 0.91; a second at most for an image). It must pass on two
# > good servers, and catch eight broken ones; one of them forgets to divide, one loses every tenth request.

# %% tags=["stub"] mlops_lab={"exercise": "validate-5"}
import requests

from mlops_lab.image import encode_png


def test_server(url):
    answer = requests.post(
        f"{url}/models/clothes/v1", data=encode_png(images[0]), headers={"Content-Type": "image/png"}
    )
    assert answer.json()["label"] == "Ankle boot"


# %% tags=["solution"] mlops_lab={"part_of": "validate-5"}
import requests

from mlops_lab import data
from mlops_lab.image import encode_png


def contract(address):
    told = requests.get(address, timeout=5).json()
    assert told["name"] == "clothes" and told["version"] == "v1"
    wrong = requests.post(address, data=b"no image", headers={"Content-Type": "image/png"}, timeout=5)
    assert 400 <= wrong.status_code < 500 and "error" in wrong.json()


def asked(address, pixels):
    begun = time.perf_counter()
    answer = requests.post(address, data=encode_png(pixels), headers={"Content-Type": "image/png"}, timeout=5)
    seconds = time.perf_counter() - begun
    assert answer.status_code == 200, f"status {answer.status_code}"
    told = answer.json()
    assert told.get("version", "v1") == "v1", "another version answered"
    one = told.get("predictions", [told])[0]  # ours answers with a list, the course's api.py with one
    assert abs(sum(one["probabilities"]) - 1) < 0.001
    return one, seconds


# %% tags=["solution"] mlops_lab={"exercise": "validate-5"}
def test_server(url):
    address = f"{url}/models/clothes/v1"
    contract(address)
    garments = data.load("fashion-mnist")
    right, rounded, waits = 0, 0, []
    for pixels, label in zip(garments.test.images[:100], garments.test.labels[:100], strict=True):
        one, seconds = asked(address, pixels)
        right += one["label"] == garments.classes[label]
        rounded += set(one["probabilities"]) <= {0, 1}
        waits.append(seconds)
        assert np.median(waits) < 1, "an image takes longer than a second"
    assert rounded < 50, "the probabilities are rounded to 0 and 1"
    assert right >= 84, f"{right} of 100 are right"


# %% tags=["check"]
grade.check("validate-5", test_server)

# %% [markdown] tags=["hint"]
# The contract is the course's table of routes: keys that only our server has are no part of it. One image cannot tell a server
# that is right for 91 of 100 from one that is right for 83; a hundred can.

# %% [markdown]
# ## 6. Load, honestly
#
# **Predict, then run.** A server answers in 5 ms, but once stands still for half a second. One client asks, waits for its answer, and asks
# again, for two seconds. What p99 does it report, in milliseconds?

# %% tags=["predict", "stub"]
guess = ...  # milliseconds

# %% tags=["predict", "solution"]
guess = 500


# %%
class Stalls:
    """A server that answers in 5 ms, and stands still for half a second, once."""

    def __init__(self):
        self.start = time.perf_counter()

    def send(self):
        since = time.perf_counter() - self.start
        time.sleep(0.005 + (1.5 - since if 1 <= since < 1.5 else 0))


def closed_loop():
    played, waits = Stalls(), []
    while time.perf_counter() - played.start < 2:
        begun = time.perf_counter()
        played.send()
        waits.append(time.perf_counter() - begun)
    return round(1000 * float(np.quantile(waits, 0.99)))


course.reveal(guess, closed_loop)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# While it stood still nobody asked: one bad wait among hundreds. Users do ask.

# %% [markdown]
# > **validate-6.** `open_loop(send, rate, seconds)` calls `send()` on a clock, whether or not answers came, and returns the wait
# > of each request, from when it *should* have been sent. `highest_rate(send, limit, seconds)` returns the highest rate at which
# > p99 of such a run stays under the limit.


# %% tags=["stub"] mlops_lab={"exercise": "validate-6"}
def open_loop(send, rate, seconds):
    waits, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        send()
        waits.append(time.perf_counter() - begun)
        time.sleep(max(0, 1 / rate - waits[-1]))
    return waits


def highest_rate(send, limit, seconds):
    return 10.0


# %% tags=["solution"] mlops_lab={"part_of": "validate-6"}
import threading
import time

import numpy as np


def open_loop(send, rate, seconds):
    waits, threads, start = [], [], time.perf_counter() + 0.02

    def one(due):
        send()
        waits.append(time.perf_counter() - due)

    for number in range(round(rate * seconds)):
        due = start + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        threads.append(threading.Thread(target=one, args=(due,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return waits


# %% tags=["solution"] mlops_lab={"exercise": "validate-6"}
def highest_rate(send, limit, seconds):
    def holds(rate):
        return np.quantile(open_loop(send, rate, seconds), 0.99) < limit

    low, high = 0.0, 16.0
    while holds(high):
        low, high = high, 2 * high
    while high - low > 0.1 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


# %% tags=["check"]
grade.check("validate-6", (open_loop, highest_rate))

# %% [markdown] tags=["hint"]
# A thread for each request lets the clock go on while answers are late. Its wait begins at `start + number / rate`, not when the
# thread came to run. To find the rate: double it until it no longer holds, then halve the gap.

# %%
played = Stalls()
waits = open_loop(played.send, 50, 2)
print(f"the same server, on a clock: p99 {1000 * np.quantile(waits, 0.99):.0f} ms")

# %% [markdown]
# ## The lab's gates
#
# `assess` holds a version against the thresholds of a file, `gates.toml`: data, quality, groups, behaviour, robustness. Beside the
# version it leaves the evidence and the model card, and `promote` refuses a version whose gates failed.

# %%
assessed = validate.assess(models.get("digits", 1))
assessed

# %% [markdown]
# ## Stretch
#
# * `validate.compare` asks two questions before it says *better*. Which is the second, and when do they disagree?
# * Give the model of the admissions to `validate.mitigate` and look at the groups again. What became of the accuracy, and who decides
#   whether that is worth it?
# * `mlops-lab load-test URL --saturation --p99 50` finds the highest rate of a real server. Try it on your `api.py`.
#
# ## Where it goes wrong
#
# | what you see | what it is |
# |---|---|
# | recall of Shirt is 0.75 | its precision: rows and columns are exchanged |
# | `nan` in the mean | a class nobody predicted: 0 ÷ 0 |
# | version 2 is better by 0.0002 | luck: look at the interval |
# | an interval three times too wide | both models saw the *same* images: draw images, not results |
# | recall 0.75 for all | 0.55 and 0.89: look at groups |
# | a good model fails your test | you asked for equal probabilities, or for too little change |
# | the test passes on every server | it asks for too little: 0.8 is not what the manifest promised |
# | a mean of 12 ms, and angry users | one in a hundred waited 900 |

# %% [markdown]
# ## What you have seen
#
# * A figure without an interval is half a figure; an average hides who is in it.
# * Tests are worth what they catch, and cost what they accuse wrongly.
# * Load is measured from when a request *should* have been sent.
# * A gate is a file of thresholds, and what it decides leaves evidence.
#
# ## The same from a terminal
#
# ```console
# $ mlops-lab validate clothes --version 1            # exit 0: every gate passed
# $ mlops-lab validate http://127.0.0.1:8000          # a server: contract and acceptance
# $ mlops-lab load-test http://127.0.0.1:8000 --rate 200 --seconds 10
# $ mlops-lab grade . --only validate
# ```
#
# **Next:** stage 6, *deploy*: from your machine to theirs.

# %%
grade.progress()
