# %% [markdown]
# # Stage 1: data
#
# Look before you train. At the end of this notebook you will be able to
#
# * tell the life cycle of a model, and where DevOps comes from;
# * know a data set before you trust it;
# * prepare pixels once, and the same everywhere;
# * split data without cheating yourself.
#
# Run the cells in order with **Shift + Enter**. It takes 60 to 90 minutes and no network.

# %%
from mlops_lab import course, data, grade, image, store, widgets

course.lifecycle("data")

# %% [markdown]
# Software that learns is a product that evolves: data arrive, models get better, the world changes. Open the stages above.
#
# **DevOps** (software *development* + IT *operations*) began in 2009 with the first DevOpsDays. Its aim: less time between a
# change of the code and its users. So four steps were automated: **build** the program, **test** it, **integrate** it with
# the other parts of the system, **deploy** it. **MLOps** does the same where part of the program was not written but trained. That adds
# what no compiler knows: data, training, a figure instead of "works", and a world that moves away from the data.

# %% [markdown]
# ## Run and look
#
# Fashion-MNIST: 70,000 grey images of garments in ten classes. They came with the package.

# %%
dataset = data.load("fashion-mnist")
dataset

# %% [markdown]
# An image is numbers: one for each pixel, 0 (black) to 255 (white). These are the middle rows of the first one.

# %%
first = dataset.train.images[0]
print(dataset.classes[dataset.train.labels[0]], first.shape, first.dtype)
print(first[12:16, 2:16])

# %% [markdown]
# Leaf through the test images; *Class* shows those of one class.

# %%
widgets.gallery(dataset, count=12)

# %% [markdown]
# **Predict, then run.** Which share of all 47 million training pixels is exactly 0? Type a number between 0 and 1 in place of the dots.

# %% tags=["predict", "stub"]
share_of_zeros = ...

# %% tags=["predict", "solution"]
share_of_zeros = 0.3

# %%
course.reveal(
    share_of_zeros,
    lambda: float((dataset.train.images == 0).mean()),
)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# Half of all that you would store, send and multiply is the dark ground.

# %% [markdown]
# **Predict, then run.** Take the mean of all 6,000 shirts: one grey image. Which class has the mean image that is nearest to it?

# %% tags=["predict", "stub"]
nearest_to_shirt = ...

# %% tags=["predict", "solution"]
nearest_to_shirt = "Coat"

# %%
import numpy as np

means = np.stack([dataset.train.images[dataset.train.labels == label].mean(axis=0) for label in range(10)])
shirt = dataset.classes.index("Shirt")
distances = np.abs(means - means[shirt]).mean(axis=(1, 2))
course.reveal(
    nearest_to_shirt,
    lambda: dataset.classes[np.argsort(distances)[1]],
)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# What is near for the eye is near for a network: it will mix these two up as well. Remember it in notebook 5.

# %% [markdown]
# The ten mean images. What is blurred differs within its class, what is sharp does not.

# %%
course.row(means, dataset.classes)

# %% [markdown]
# ## 1. The life cycle, in order
#
# A shop's year, in fourteen events. Put each into one of six stages: `data`, `training`, `evaluation`, `deployment`, `integration`,
# `monitoring`. (*Integration* has the tests of a **running** system before customers reach it; *evaluation* asks a model.)
#
# | event | what happened |
# |---|---|
# | photographs | Two people photograph 3,000 garments in the storeroom. |
# | names | They agree on ten names and write one beside each photograph. |
# | copies | Forty photographs that are there twice are thrown out. |
# | first network | A network learns from 2,400 of the photographs over night. |
# | six rates | Six learning rates are tried, and the weights of the best are kept. |
# | 91 of 100 | The finished network names 91 of 100 photographs right that it never saw. |
# | dark garments | Somebody compares how often it is right for dark and for light garments. |
# | staging | The image runs on a copy of the shop's site that only its staff can open. |
# | load test | A thousand invented customers ask the running server, before any real one does. |
# | image | The server and its model are packed into a container image. |
# | first of March | The shop's site sends its customers' photographs to the new server. |
# | log | The class and the time of each answer are written into a table. |
# | masks | Customers wear masks since spring, and somebody notices that the answers are less sure. |
# | four o'clock | An alarm rings on a Sunday at four: answers take two seconds. |
#
# Then mark which four of these DevOps automated before there were models: *build, test, integrate, deploy, label, train, watch for drift,
# retrain*.

# %% tags=["stub"] mlops_lab={"exercise": "data-1"}
stage = {
    "photographs": "data",
    "names": "data",
    "copies": "data",
    "first network": "data",
    "six rates": "data",
    "91 of 100": "data",
    "dark garments": "data",
    "staging": "data",
    "load test": "data",
    "image": "data",
    "first of March": "data",
    "log": "data",
    "masks": "data",
    "four o'clock": "data",
}
automated = {"label"}

# %% tags=["solution"] mlops_lab={"exercise": "data-1"}
stage = {
    "photographs": "data",
    "names": "data",
    "copies": "data",
    "first network": "training",
    "six rates": "training",
    "91 of 100": "evaluation",
    "dark garments": "evaluation",
    "staging": "integration",
    "load test": "integration",
    "image": "deployment",
    "first of March": "deployment",
    "log": "monitoring",
    "masks": "monitoring",
    "four o'clock": "monitoring",
}
automated = {"build", "test", "integrate", "deploy"}

# %% tags=["check"]
grade.check("data-1", (stage, automated))

# %% [markdown] tags=["hint"]
# Ask of each event: what is there by then? Only images; weights, too; or a running server?

# %% [markdown]
# ## 2. Describe a split
#
# `dataset.train` and `dataset.test` are *splits*: `images` and `labels`. Write what you want to know about any split, also one that came from
# somebody else: a dict with `count`, `shape` (of one image), `dtype`, `lowest`, `highest`, `zeros` (the share of
# pixels that are 0) and `per_class` (ten numbers).


# %% tags=["stub"] mlops_lab={"exercise": "data-2"}
def describe(split):
    return {"count": len(split.images)}


# %% tags=["solution"] mlops_lab={"exercise": "data-2"}
def describe(split):
    images, labels = split.images, split.labels
    return {
        "count": len(images),
        "shape": images.shape[1:],
        "dtype": images.dtype,
        "lowest": images.min() if images.size else None,
        "highest": images.max() if images.size else None,
        "zeros": float((images == 0).mean()) if images.size else 0.0,
        "per_class": np.bincount(labels, minlength=10),
    }


# %%
describe(dataset.test)

# %% tags=["check"]
grade.check("data-2", describe)

# %% [markdown] tags=["hint"]
# A report about data must survive bad data: a class of which there is no image, a split without any. Try
# `describe(data.Split(dataset.test.images[:0], dataset.test.labels[:0]))`.

# %% [markdown]
# ## 3. Prepare pixels
#
# A network learns better from numbers between 0 and 1. That sounds harmless, and is where most served models go wrong: whoever *serves* must prepare
# exactly as whoever *trained*. So it is one function, which both use.
#
# Write `prepare(images)`: `(n, 28, 28)` whole numbers → `(n, 28, 28, 1)` float32 from 0 to 1. One image may come without the first axis.


# %% tags=["stub"] mlops_lab={"exercise": "data-3"}
def prepare(images):
    return images


# %% tags=["solution"] mlops_lab={"exercise": "data-3"}
def prepare(images):
    images = np.asarray(images)
    if images.ndim == 2:
        images = images[np.newaxis]
    return (images / 255).astype(np.float32)[..., np.newaxis]


# %% tags=["check"]
grade.check("data-3", prepare)

# %% [markdown] tags=["hint"]
# Three things to try: call it twice with the same array; give it an image whose brightest pixel is 100; look at `prepare(...).dtype`.

# %% [markdown]
# How much does it matter? The shipped model answers 2,000 test images, prepared rightly, not divided by 255, and divided twice.

# %%
model = store.ModelStore("models").load("clothes", "latest")
some, truth = dataset.test.images[:2000], dataset.test.labels[:2000]
right = image.to_input(some, model.input)
for name, inputs in {"right": right, "not divided": right * 255, "divided twice": right / 255}.items():
    print(f"{name:14} {(model.engine.predict(inputs).argmax(axis=1) == truth).mean():.3f}")

# %% [markdown]
# The frequent mistake, *not divided*, is still right for more than 80 of 100. No test that asks for "80%" finds it.

# %% [markdown]
# ## 4. Split without cheating
#
# A model is judged by images that it has not learned from, so you set some aside. This delivery is sorted by class, and 75 of its images are
# there twice, as deliveries often are.

# %%
count = 3000
order = np.argsort(dataset.train.labels[:count], kind="stable")
order = np.repeat(order, np.where(np.arange(count) % 40, 1, 2))
pile, names_of_pile = dataset.train.images[order], dataset.train.labels[order]
print(len(pile), "images, of which", len(pile) - len({one.tobytes() for one in pile}), "are copies")

# %% [markdown]
# Write `split(images, labels, share, seed)` → two arrays of places, the second with the `share` of each class. The same seed
# gives the same split; a copy never stands on both sides; nobody else's random numbers are touched.


# %% tags=["stub"] mlops_lab={"exercise": "data-4"}
def split(images, labels, share, seed):
    cut = round(len(labels) * (1 - share))
    return np.arange(cut), np.arange(cut, len(labels))


# %% tags=["solution"] mlops_lab={"exercise": "data-4"}
def split(images, labels, share, seed):
    rng = np.random.default_rng(seed)
    first, second = [], []
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        alike = {}
        for place in places:
            alike.setdefault(images[place].tobytes(), []).append(int(place))
        groups, wanted, taken = list(alike.values()), len(places) * share, 0
        for number in rng.permutation(len(groups)):
            group = groups[number]
            if taken + len(group) / 2 <= wanted:
                second += group
                taken += len(group)
            else:
                first += group
    return np.array(first), np.array(second)


# %%
learn, judge = split(pile, names_of_pile, 0.2, seed=0)
both = {one.tobytes() for one in pile[learn]} & {one.tobytes() for one in pile[judge]}
print(len(learn), len(judge), "on both sides:", len(both), "classes to judge:", len(set(names_of_pile[judge])))

# %% tags=["check"]
grade.check("data-4", split)

# %% [markdown] tags=["hint"]
# Split *groups*, not images: `one.tobytes()` is the same for all copies of an image. And `np.random.default_rng(seed)` is a
# generator of your own.

# %% [markdown]
# ## 5. A gate for data
#
# A delivery comes every Monday. Write `problems(images, labels)`: a list of words for what is wrong with it, of `shape` (not 28×28), `range`
# (outside 0–255), `not-finite`, `constant` (an image of one grey), `label-unknown` (not 0–9), `class-missing`, `duplicates`, `inverted`
# (light ground). It is graded with deliveries: broken ones that it must find, honest ones that it must let pass, one of them merely dark.


# %% tags=["stub"] mlops_lab={"exercise": "data-5"}
def problems(images, labels):
    return []


# %% tags=["solution"] mlops_lab={"exercise": "data-5"}
def problems(images, labels):
    values = images.astype(float)
    finite, flat = values[np.isfinite(values)], values.reshape(len(values), -1)
    border = np.concatenate([values[:, 0], values[:, -1]], axis=1)
    present = set(labels.tolist())
    found = {
        "shape": images.shape[1:] != (28, 28),
        "not-finite": len(finite) < values.size,
        "range": finite.min() < 0 or finite.max() > 255,
        "constant": (flat.min(axis=1) == flat.max(axis=1)).any(),
        "label-unknown": not present <= set(range(10)),
        "class-missing": not set(range(10)) <= present,
        "duplicates": len({one.tobytes() for one in images}) < len(images),
        "inverted": np.median(border) > 127,
    }
    return [word for word, wrong in found.items() if wrong]


# %% tags=["check"]
grade.check("data-5", problems)

# %% [markdown] tags=["hint"]
# Collect, then return: the first problem must not hide the second. For `inverted`, look where there is no garment: the border.

# %% [markdown]
# The package has such a gate as well. It looks at the test split, of which we spoil one image:

# %%
spoilt = dataset.test.sample(500)
spoilt.images[17] = 128
data.check(spoilt)

# %% [markdown]
# ## 6. Stretch: where does a label come from?
#
# From people, and people are mistaken. A model that never saw these images can help to find where. Write
# `suspects(probabilities, labels, k)`: the places of the k images whose label the model contradicts most surely.


# %% tags=["stub"] mlops_lab={"exercise": "data-6"}
def suspects(probabilities, labels, k):
    return np.argsort(probabilities.max(axis=1))[:k]


# %% tags=["solution"] mlops_lab={"exercise": "data-6"}
def suspects(probabilities, labels, k):
    own = probabilities[np.arange(len(labels)), labels]
    return np.argsort(own - probabilities.max(axis=1))[:k]


# %%
probabilities = model.engine.predict(right)
places = suspects(probabilities, truth, 6)
said = [f"labelled {dataset.classes[truth[place]]}" for place in places]
course.row(some[places], said, size=88)

# %% tags=["check"]
grade.check("data-6", suspects)

# %% [markdown] tags=["hint"]
# *Unsure* is not *wrong*. Contradicted means: another class is sure, and the label's own is not.

# %% [markdown]
# ## Where it goes wrong
#
# | what you see | what it is |
# |---|---|
# | accuracy 0.83 where 0.92 was measured | pixels not divided by 255 |
# | accuracy 0.10 | divided twice, or `//`; or labels and images in another order |
# | very good in the notebook, poor in use | copies on both sides of the split, or preparation that differs |
# | fine on garments, poor on your own drawing | light ground: the data have dark |
#
# ## The same from a terminal
#
# ```console
# $ mlops-lab doctor                 # is everything here?
# $ mlops-lab grade . --only data    # what a grader sees of this notebook
# ```
#
# ## What you have seen
#
# The life cycle has a stage before the first model, and it decides more than the network does. Data are described, prepared in one place,
# split by content, and checked by a gate that neither misses nor cries wolf.

# %%
grade.progress()

# %% [markdown]
# Next: [stage 2, train](02_train.ipynb).
