# %% [markdown]
# # Stage 7: monitor
#
# The day you release a model it is as good as you measured. Then the world moves: customers wear masks, a camera is replaced, a
# new word comes up. Nobody tells the model. **Monitoring** records what it sees, tells a change from chance, and starts the
# circle again: collect, train, validate, release.
#
# **What you will be able to do**
#
# * record predictions without losing any, and without keeping what is nobody's business,
# * measure a difference, and ring so that people still listen,
# * say what an alarm can and cannot know,
# * watch a day in production, and close the loop.
#
# Run the cells from top to bottom with **Shift + Enter**. It takes 60 to 90 minutes with the exercises, and no network.

# %%
from mlops_lab import course

course.lifecycle("monitor")

# %% [markdown]
# ## Run and look
#
# Masks, as in 2020: a dark band lies before what the model should recognise. `disturb` turns such dials.

# %%
import shutil
from pathlib import Path

import numpy as np

from mlops_lab import data, grade, monitor, serve, store, widgets
from mlops_lab.store.shipped import shipped_models

if not Path("models").is_dir():
    shutil.copytree(shipped_models(), "models")
models = store.ModelStore("models")
model = models.load("clothes", "v1")
test = data.load("fashion-mnist").test.sample(2000)
masked = monitor.disturb(test, "masks", 0.8)
print(f"right for {(model.probabilities(test.images).argmax(axis=1) == test.labels).mean():.2f}")
course.row([*test.images[:4], *masked.images[:4]], ["before"] * 4 + ["after"] * 4)

# %% [markdown]
# **Predict, then run.** Without masks the model is right for 0.90 of them. With masks: how accurate is it, and how sure is it of itself?

# %% tags=["predict", "stub"]
guess = ...  # two numbers, such as (0.8, 0.9): accuracy, mean confidence

# %% tags=["predict", "solution"]
guess = (0.8, 0.6)


# %%
def with_masks():
    rows = model.probabilities(masked.images)
    return f"{(rows.argmax(axis=1) == masked.labels).mean():.2f}, {rows.max(axis=1).mean():.2f}"


course.reveal(guess, with_masks)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# It loses more than a third, and hardly notices: confidence is what the model thinks.

# %% [markdown]
# Turn the dial. The monitor sees images and answers, no labels; below it is what it cannot know. *Try*: `dark` at 0.3, then
# `seasons`: changed, and not worse. `broken camera` at 0.5.

# %%
reference = monitor.find_reference(models, "clothes", "v1")
dial = widgets.shift(model, reference, test)
dial

# %% [markdown]
# ## 1. Write it down
#
# A server calls `on_prediction` with an event for each answer: `event.request_id`, `event.time`, `event.predictor.version`,
# `event.images` and `event.predictions`, of which `[0]` has `label` and `confidence`.
#
# > **monitor-1.** A class `Recorder(path)`: called with an event, it writes a row into the table `predictions` of an SQLite file,
# > with `request_id`, `time`, `version`, `class`, `confidence`, `truth` (empty) and at least four numbers that describe the image.
# > From eight threads; a request once, though it come twice; on a full disk it raises nothing and counts in `lost`.
# > `feedback(request_id, label)` notes what was right, and refuses an unknown id. No image and no address is stored.

# %% tags=["stub"] mlops_lab={"exercise": "monitor-1"}
import sqlite3


class Recorder:
    def __init__(self, path):
        self.lost = 0
        self.database = sqlite3.connect(path)
        self.database.execute("CREATE TABLE IF NOT EXISTS predictions (request_id, time, class)")

    def __call__(self, event):
        row = (event.request_id, event.time, event.predictions[0].label)
        self.database.execute("INSERT INTO predictions VALUES (?, ?, ?)", row)

    def feedback(self, request_id, label):
        pass


# %% tags=["solution"] mlops_lab={"part_of": "monitor-1"}
import sqlite3
import threading

COLUMNS = "request_id TEXT PRIMARY KEY, time, version, class, confidence, mean, deviation, filled, bright, truth"
INSERT = "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING"


def described(image):
    """Numbers that tell later that the world moved, and not what was worn by whom."""
    image = np.asarray(image, float)
    return [float(one) for one in (image.mean(), image.std(), (image > 20).mean(), np.quantile(image, 0.9))]


# %% tags=["solution"] mlops_lab={"exercise": "monitor-1"}
class Recorder:
    def __init__(self, path):
        self.lost, self.lock = 0, threading.Lock()
        self.database = sqlite3.connect(path, check_same_thread=False)
        with self.database:
            self.database.execute(f"CREATE TABLE IF NOT EXISTS predictions ({COLUMNS})")

    def __call__(self, event):
        try:
            said = event.predictions[0]
            row = (event.request_id, event.time, event.predictor.version, said.label, float(said.confidence))
            with self.lock, self.database:  # one thread at a time; committed at the end
                self.database.execute(INSERT, (*row, *described(event.images[0])))
        except Exception:  # the customer gets an answer, whatever becomes of the note
            with self.lock:
                self.lost += 1

    def feedback(self, request_id, label):
        change = "UPDATE predictions SET truth = ? WHERE request_id = ?"
        with self.lock, self.database:
            found = self.database.execute(change, (label, request_id)).rowcount
        if not found:
            raise KeyError(request_id)


# %% tags=["check"]
grade.check("monitor-1", Recorder)

# %% [markdown] tags=["hint"]
# SQLite ties a connection to the thread that opened it, unless you say `check_same_thread=False` and put a lock around it. `with
# database:` commits. A primary key refuses a second row; `ON CONFLICT DO NOTHING` says that this is no error.

# %% [markdown]
# The lab's own recorder is `monitor.PredictionLog`: the same idea, with groups of commits, retention and summaries.

# %%
log = monitor.PredictionLog("predictions.db")
server = serve.start(models, name="monitored", log=log)
serve.Client(server).classify("clothes", "v1", masked.images[:200])
print(f"{server.url}/monitor shows what was recorded")

# %% [markdown]
# ## 2. Measure the difference
#
# > **monitor-2.** `psi(reference, current, bins=10)`, the population stability index: cut the *reference* into ten equal parts, and sum
# > (found − expected)·ln(found ÷ expected) over their shares; the outer bins have no end, and an empty one gets a floor of 0.0001.
# > `ks(reference, current)`: the largest distance between the two cumulative distributions.


# %% tags=["stub"] mlops_lab={"exercise": "monitor-2"}
def psi(reference, current, bins=10):
    edges = np.linspace(current.min(), current.max(), bins + 1)
    expected, found = (np.histogram(one, edges)[0] / len(one) + 0.01 for one in (reference, current))
    return float(((found - expected) * np.log(found / expected)).sum())


def ks(reference, current):
    return float(abs(reference.mean() - current.mean()))


# %% tags=["solution"] mlops_lab={"exercise": "monitor-2"}
import numpy as np


def psi(reference, current, bins=10):
    edges = np.quantile(reference, np.linspace(0, 1, bins + 1))
    edges[0], edges[-1] = -np.inf, np.inf
    shares = [np.histogram(one, edges)[0] / len(one) for one in (reference, current)]
    expected, found = (np.maximum(one, 1e-4) for one in shares)
    return float(((found - expected) * np.log(found / expected)).sum())


def ks(reference, current):
    both = np.concatenate([reference, current])
    below = [np.searchsorted(np.sort(one), both, side="right") / len(one) for one in (reference, current)]
    return float(np.abs(below[0] - below[1]).max())


# %% tags=["check"]
grade.check("monitor-2", (psi, ks))

# %% [markdown] tags=["hint"]
# `np.quantile(reference, np.linspace(0, 1, 11))` are the edges; they must not move with the current data. `np.searchsorted(np.sort(a), x,
# side="right")` counts how many of `a` are at most `x`.

# %% [markdown]
# <details><summary>New words</summary>
#
# Text drifts, too. A model of 2019 had never read *lockdown*; the share of words outside its vocabulary is a statistic as
# good as brightness, and the same tests hold for it.
#
# </details>
#
# ## 3. How often does it cry wolf?
#
# **Predict, then run.** Eight statistics, each tested at p < 0.05. Nothing has changed. In how many windows does at least one ring?

# %% tags=["predict", "stub"]
guess = ...  # a share, 0 to 1

# %% tags=["predict", "solution"]
guess = 0.05

# %%
chance = np.random.default_rng(0).random((10000, 8))  # p-values when nothing has changed
rings = float((chance < 0.05).any(axis=1).mean())
course.reveal(guess, rings)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# Every third window rings: eight chances to be unlucky. People switch off what cries wolf.

# %% [markdown]
# > **monitor-3.** `alarm(reference, window)`, both `(n, 8)`: true where something changed. On windows without any change, of 200 images
# > and of 50, it rings at most 8 times in 100; of 13 kinds of change in three strengths it finds at least 70 of 100.


# %% tags=["stub"] mlops_lab={"exercise": "monitor-3"}
from scipy.stats import ks_2samp


def alarm(reference, window):
    return any(ks_2samp(reference[:, one], window[:, one]).pvalue < 0.05 for one in range(reference.shape[1]))


# %% tags=["solution"] mlops_lab={"exercise": "monitor-3"}
from scipy.stats import ks_2samp


def alarm(reference, window):
    p_values = [ks_2samp(reference[:, one], window[:, one]).pvalue for one in range(reference.shape[1])]
    return min(p_values) < 0.05 / len(p_values)  # eight chances to be unlucky


# %% tags=["check"]
grade.check("monitor-3", alarm)

# %% [markdown] tags=["hint"]
# A p-value knows the size of the window, a fixed threshold does not. With eight tests, ask each for 0.05 ÷ 8 (Bonferroni).

# %% [markdown]
# ## 4. What an alarm cannot know
#
# > **monitor-4.** `estimate(reference, window)`: the accuracy without labels. `reference` holds `confidence` and `right` of images with
# > labels; `window` is an array of confidences. `trust(kind)`: whether that is to be believed after `noise`, `dark`, `contrast`, `masks`,
# > `moved` and `new clothes`. `labels(accuracy)`: how many labels tell the accuracy to ±5 points, 95 times in 100.


# %% tags=["stub"] mlops_lab={"exercise": "monitor-4"}
def estimate(reference, window):
    return float(np.mean(window))


def trust(kind):
    return True


def labels(accuracy):
    return 100


# %% tags=["solution"] mlops_lab={"exercise": "monitor-4"}
import math


def estimate(reference, window):
    edges = np.unique(np.quantile(reference["confidence"], np.linspace(0, 1, 11))[1:-1])
    known, now = np.searchsorted(edges, reference["confidence"]), np.searchsorted(edges, window)
    asked = np.bincount(known, minlength=len(edges) + 1)
    right = np.bincount(known, reference["right"], minlength=len(edges) + 1) / np.maximum(asked, 1)
    return float(right[now].mean())  # how often it was right when it was as sure as it is now


def trust(kind):
    return kind in ("noise", "dark", "contrast")  # there the model knows when it is unsure


def labels(accuracy):
    return math.ceil(1.96**2 * accuracy * (1 - accuracy) / 0.05**2)


# %% tags=["check"]
grade.check("monitor-4", (estimate, trust, labels))

# %% [markdown] tags=["hint"]
# This model is a little too sure: its mean confidence lies 2 points above its accuracy. Ask the reference how often it was right where it
# was so sure. For `trust`, turn the dial above and compare the estimate with the truth.

# %% [markdown]
# The lab gives two answers, *changed* and *harmful*, and says when its own estimate is not to be trusted:

# %%
verdict = monitor.compare(reference, monitor.observe(model, masked.images[:400]))
trusted = verdict.estimate.trust
print("changed", verdict.changed, "· harmful", verdict.harmful, "· estimate to be trusted", trusted)
verdict

# %% [markdown]
# ## 5. A day in production
#
# > **monitor-5.** `watch(reference, stream)` reads a day of predictions in order and returns `[(place, reason), …]`: after which prediction it
# > rings, and the column that moved. Both are dicts of arrays: `class`, `confidence`, `brightness`, `contrast`, `grain`. At most one
# > alarm on three quiet days; points fall with the delay; and nothing may be read before it has come.


# %% tags=["stub"] mlops_lab={"exercise": "monitor-5"}
def watch(reference, stream):
    for place in range(10, len(stream["class"])):
        if abs(stream["brightness"][place - 10 : place].mean() - reference["brightness"].mean()) > 0.1:
            return [(place, "brightness")]
    return []


# %% tags=["solution"] mlops_lab={"part_of": "monitor-5"}
import numpy as np
from scipy.stats import chi2_contingency, ks_2samp

WINDOW, STEP, RISK = 200, 50, 0.002


def moved(reference, window):
    """Return the column that moved most, and how likely that is by chance."""
    found = {name: ks_2samp(reference[name], window[name]).pvalue for name in window if name != "class"}
    counts = np.array([np.bincount(one["class"], minlength=10) for one in (reference, window)])
    found["class"] = chi2_contingency(counts[:, counts.sum(axis=0) > 0]).pvalue
    name = min(found, key=found.get)
    return name, found[name] * len(found)


# %% tags=["solution"] mlops_lab={"exercise": "monitor-5"}
def watch(reference, stream):
    alarms, before, ringing = [], False, False
    for end in range(WINDOW, len(stream["class"]) + 1, STEP):
        window = {name: values[end - WINDOW : end] for name, values in stream.items()}
        name, chance = moved(reference, window)
        rings = chance < RISK
        if rings and before and not ringing:  # two looks in a row, and once for one change
            alarms.append((end, name))
            ringing = True
        ringing, before = ringing and rings, rings
    return alarms


# %% tags=["check"]
grade.check("monitor-5", watch)

# %% [markdown] tags=["hint"]
# Looking often is testing often: look every 50 predictions, at the last 200, and ask for two looks in a row. The reference is what the
# model did on held-out data; held against yesterday, a slow change is never seen.

# %% [markdown]
# Here is such a day, by hours; masks come at noon. The monitor has no labels; the last column is what it does not know.

# %%
for hour in range(8, 18):
    customers = test.sample(200, seed=hour)
    customers = monitor.disturb(customers, "masks", 0.8, seed=hour) if hour >= 12 else customers
    window = monitor.observe(model, customers.images)
    said = monitor.compare(reference, window)
    truth = (window.classes == customers.labels).mean()
    print(f"{hour:02}:00  harmful: {'yes' if said.harmful else 'no':3}  accuracy {truth:.2f}")

# %% [markdown]
# ## 6. Close the loop
#
# An alarm is a question, and training is only one of its answers.
#
# > **monitor-6.** `respond(alarm, models, data)` returns a word. `"source"`: the camera is broken, all images show nothing; `"nothing"`:
# > the alarm is not harmful; `"wait"`: fewer than 200 of the new images have labels; else train on old *and* new data, ask the
# > gates, then a canary of 10 %, and promote: `"retrained"`, or `"kept"` where one of them said no.
#
# `alarm` has `harmful`, `reason`, `since` and `images`. `models` holds functions: `train(images, labels)` gives a version; `gates(version)`
# and `canary(version, share)` say yes or no; `promote(version)`; `production()` and `ask(version, images)`. `data["old"]` and
# `data["new"]` have `images` and `labels`; a label of −1 is not known.


# %% tags=["stub"] mlops_lab={"exercise": "monitor-6"}
def respond(alarm, models, data):
    version = models["train"](data["old"].images, data["old"].labels)
    models["promote"](version)
    return "retrained"


# %% tags=["solution"] mlops_lab={"exercise": "monitor-6"}
def respond(alarm, models, data):
    if (alarm["images"].std(axis=(1, 2)) < 1).mean() > 0.2:
        return "source"  # a model cannot learn what is not there
    if not alarm["harmful"]:
        return "nothing"
    old, new = data["old"], data["new"]
    judged = new.labels >= 0
    if judged.sum() < 200:
        return "wait"
    images = np.concatenate([old.images, new.images[judged]])  # what it is not shown again, it forgets
    labels = np.concatenate([old.labels, new.labels[judged]])
    version = models["train"](images, labels)
    if models["gates"](version) and models["canary"](version, 0.1):
        models["promote"](version)
        return "retrained"
    return "kept"


# %% tags=["check"]
grade.check("monitor-6", respond)

# %% [markdown] tags=["hint"]
# An image that shows nothing has no deviation: `images.std(axis=(1, 2))`. The answers of the version that was wrong are no labels. The old
# version is in production until gates *and* canary have said yes.

# %% [markdown]
# The lab's loop is `mlops-lab pipeline run pipeline.toml`. Two days of it, played with a real server, a canary and a retrained version
# (handwritten digits; only the clock and the customers are invented), take about half a minute:

# %%
from mlops_lab import pipeline

pipeline.day(fast=True)

# %% [markdown]
# ## Stretch
#
# * Read the events of the two days: who decided what, on what evidence? `pipeline.day()` plays them with garments and LeNet-5.
# * `widgets.dashboard(server)` of a server with a log shows the report, as does `/monitor`. Send it masked images until it is *harmful*.
# * Give feedback on fifty of them, `log.feedback(request_id, "Bag")`: from then on the accuracy is measured, and no longer estimated.
#
# ## Where it goes wrong
#
# | what you see | what it is |
# |---|---|
# | `SQLite objects created in a thread …` | one connection, several threads, no lock |
# | customers get 500 | the recorder raised: predict first, note if you can, count what you could not |
# | PSI is `inf` | an empty bin, without a floor |
# | the same change gives another PSI every day | the bins come from the current data |
# | every third quiet window rings | eight tests, each at 0.05 |
# | nothing ever rings | a threshold so high that it finds a third of what happens |
# | *drift, so accuracy fell* | changed is not worse: darker by a tenth, every test rings, the accuracy is the same |
# | estimated 0.87, true 0.5 | confidence, for something that the model has never seen |
# | noticed at 18:00 what began at noon | a window of a whole day |
# | better on masks, worse on everything else | retrained on the new data only |

# %% [markdown]
# ## What you have seen
#
# * What is recorded must not cost an answer, and must not hold an image.
# * Significance is not harm; a monitor answers both questions, and says when it cannot know.
# * Labels are the only certainty, and 139 of them tell an accuracy of 0.90 to five points.
# * A model cannot learn what is not there: a broken camera is repaired, not learned.
#
# ## The same from a terminal
#
# ```console
# $ mlops-lab serve --log predictions.db            # then open /monitor
# $ mlops-lab monitor report --log predictions.db
# $ mlops-lab monitor drift --log predictions.db      # exit 1 where it is harmful
# $ mlops-lab grade . --only monitor
# ```
#
# The servers of this notebook end with its kernel; `serve.stop_all()` ends them earlier.
#
# **Next:** stage 8, *grade*: be the examiner, then the engineer.

# %%
grade.progress()
