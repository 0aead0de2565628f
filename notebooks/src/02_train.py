# %% [markdown]
# # Stage 2: train
#
# LeNet-5, and knowing when to stop. At the end of this notebook you will be able to
#
# * build the course's network, and say where its 44,426 numbers are;
# * train it so that it can be repeated;
# * read curves, and see where a network begins to learn by heart;
# * search over settings without fooling yourself.
#
# It takes 60 to 90 minutes with the exercises, a minute without, and no network. Only 2,000 of the 60,000 images are used, so that an epoch takes
# a second; what you learn holds for all of them.

# %%
import numpy as np

from mlops_lab import course, data, grade, show, train, widgets

course.lifecycle("train")

# %% [markdown]
# ## Run and look

# %% tags=["fast"]
dataset = data.load("fashion-mnist", limit=2000)
epochs = 2

# %% tags=["long"]
dataset = data.load("fashion-mnist")
epochs = 20

# %% [markdown]
# A network is trained in *epochs*: once through all images, in *batches* of 128, and after each batch all weights are moved a little. Before it begins,
# one filter of the first layer is kept to compare.

# %%
network = train.lenet5()
before = network.layers[0].get_weights()[0][:, :, 0, 0].copy()
live = widgets.training(dataset, train.TrainConfig(epochs=epochs), build=lambda: network)
live

# %% [markdown]
# The button **Start** trains in the background. The next cell presses it, and waits for the end.

# %%
live.start()
run = live.wait()
run

# %%
after = network.layers[0].get_weights()[0][:, :, 0, 0]
levels = [255 * (filter - before.min()) / (before.max() - before.min()) for filter in (before, after)]
course.row(levels, ["a filter before, at random", "the same after training"], size=120)

# %% [markdown]
# **Predict, then run.** The network has 44,426 numbers. Which of its layers holds most of them: `conv2d` (6 filters of 5×5), `conv2d_1` (16), `dense` (120), `dense_1`
# (84) or `dense_2` (10)?

# %% tags=["predict", "stub"]
largest = ...

# %% tags=["predict", "solution"]
largest = "dense"

# %%
counts = {
    layer.count_params(): layer.name.rstrip("_0123456789") + " " + str(layer.output.shape[1:])
    for layer in network.layers
}
course.reveal(
    largest,
    lambda: f"{counts[max(counts)]} with {max(counts):,}",
)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# 256 inputs × 120 neurons, and 120 more. A convolution uses its few weights at every place of the image.

# %% [markdown]
# ## 1. Build it
#
# Write `lenet5()` in Keras: convolution with 6 filters of 5×5, average pooling 2×2, convolution with 16 filters of 5×5, average pooling, flatten, dense 120, dense 84,
# and ten outputs. Activations are `relu`, at the end `softmax`, so that ten outputs are ten probabilities. The input is 28×28×1.

# %%
import keras
from keras import layers


# %% tags=["stub"] mlops_lab={"exercise": "train-1"}
def lenet5():
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)])


# %% tags=["solution"] mlops_lab={"exercise": "train-1"}
def lenet5():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, activation="relu"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


# %%
own = lenet5()
print(f"{own.count_params():,} parameters")

# %% tags=["check"]
grade.check("train-1", lenet5)

# %% [markdown] tags=["hint"]
# 61,706 parameters are LeNet-5 with `padding="same"` in the first convolution. 44,426 with max pooling is the right count of another network: pooling has no parameters.

# %% [markdown]
# ## 2. Loss and labels that fit
#
# The *loss* is what training makes small. For classes it is cross-entropy, in two spellings: `sparse_categorical_crossentropy` for labels 0–9,
# `categorical_crossentropy` for *one-hot* rows such as `0 0 1 0 0 0 0 0 0 0`.
#
# Write `one_hot(labels)`, and `compile_for(model, labels)`, which compiles the model for either form and returns it.


# %% tags=["stub"] mlops_lab={"exercise": "train-2"}
def one_hot(labels):
    return np.eye(labels.max() + 1)[labels]


def compile_for(model, labels):
    model.compile(optimizer="adam", loss="mean_squared_error", metrics=["accuracy"])
    return model


# %% tags=["solution"] mlops_lab={"exercise": "train-2"}
def one_hot(labels):
    return np.eye(10)[labels]


def compile_for(model, labels):
    loss = "sparse_categorical_crossentropy" if labels.ndim == 1 else "categorical_crossentropy"
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model


# %% tags=["check"]
grade.check("train-2", (compile_for, one_hot))

# %% [markdown] tags=["hint"]
# `labels.ndim` tells the two forms apart. And the width of a one-hot row belongs to the task, not to the batch: what if no boot is in it?

# %% [markdown]
# Now train your own, as the course does, and read the log: in each line the loss and accuracy on the images that it learns from, then (`val_`) on the
# fifth that it does not.

# %%
normalised = dataset.train.images[..., None] / 255.0
rows = one_hot(dataset.train.labels)
history = compile_for(own, rows).fit(normalised, rows, validation_split=0.2, epochs=2, batch_size=128, verbose=2)

# %% [markdown]
# ## 3. Read the curves
#
# Three trainings of 60 epochs, as `model.fit` returns them. (They are drawn by hand, to show what real ones do.)

# %%
import json
from pathlib import Path

from IPython.display import HTML

trainings = json.loads(Path("files/trainings.json").read_text())
drawing = show.figure(9, 2.6)
for place, history in enumerate(trainings, start=1):
    axes = drawing.add_subplot(1, 3, place)
    axes.plot(range(1, 61), history["loss"], "-", label="loss")
    axes.plot(range(1, 61), history["val_loss"], "--", label="val_loss")
    axes.set(xlabel="epoch", title=f"training {place}")
    axes.legend()
alt = "Losses by epoch. In trainings 1 and 2 the validation loss falls, then rises; in training 3 it falls to the end."
HTML(show.drawing(drawing, alt))

# %% [markdown]
# Write `best_epoch(history)`: the epoch to keep; and `overfits_from(history)`: the first epoch after which the validation loss only gets worse for five epochs, or `None`.
# Count as Keras prints: the first epoch is 1.


# %% tags=["stub"] mlops_lab={"exercise": "train-3"}
def best_epoch(history):
    return len(history["loss"])


def overfits_from(history):
    return None


# %% tags=["solution"] mlops_lab={"exercise": "train-3"}
def best_epoch(history):
    losses = history["val_loss"]
    return losses.index(min(losses)) + 1


def overfits_from(history):
    losses = history["val_loss"]
    for start in range(len(losses) - 5):
        part = losses[start : start + 6]
        if all(part[place] < part[place + 1] for place in range(5)):
            return start + 1
    return None


# %%
[(best_epoch(history), overfits_from(history)) for history in trainings]

# %% tags=["check"]
grade.check("train-3", (best_epoch, overfits_from))

# %% [markdown] tags=["hint"]
# Training accuracy always grows. Which curve was drawn from images that the model did not learn from?

# %% [markdown]
# ## 4. The same again
#
# Weights begin at random, and batches come in random order. Whoever cannot repeat a training cannot say what a change has changed.
#
# **Predict, then run.** The same network is trained twice with the same seed. How many of its 44,426 weights differ?

# %% tags=["predict", "stub"]
differ = ...

# %% tags=["predict", "solution"]
differ = 100

# %%
small = dataset.limited(500)


def twice():
    config = train.TrainConfig(epochs=1, seed=3)
    one, two = (
        np.concatenate([w.ravel() for w in train.fit(small, config, progress=False).model.get_weights()])
        for _ in range(2)
    )
    return int((one != two).sum())


course.reveal(differ, twice)

# %% [markdown] tags=["hint"] mlops_lab={"summary": "Why"}
# The seed decides the first weights and the order of the batches. Another machine, or another version of TensorFlow, may add in another order, and then all of
# them differ a little.

# %% [markdown]
# Write `digest(weights)`: a text that differs when any bit of a list of arrays differs; and `repeatable(seed, images, labels)`: train a small network of your own
# twice on the raw images, and return both digests. They are equal for one seed and differ for another, whatever ran before.

# %% tags=["stub"] mlops_lab={"exercise": "train-4"}
import hashlib


def digest(weights):
    return hashlib.sha256(str(weights).encode()).hexdigest()


def repeatable(seed, images, labels):
    return "first", "second"


# %% tags=["solution"] mlops_lab={"exercise": "train-4"}
import hashlib


def digest(weights):
    return hashlib.sha256(b"".join(one.tobytes() for one in weights)).hexdigest()


def trained(seed, images, labels):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((28, 28)), layers.Flatten(), layers.Dense(10, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy")
    model.fit(images / 255, labels, epochs=1, verbose=0)
    return digest(model.get_weights())


def repeatable(seed, images, labels):
    return trained(seed, images, labels), trained(seed, images, labels)


# %% tags=["check"]
grade.check("train-4", (digest, repeatable))

# %% [markdown] tags=["hint"]
# `keras.utils.set_random_seed(seed)` sets Python's, NumPy's and TensorFlow's random numbers: before the network is built. And `str` of a long array has `...` in it.

# %% [markdown]
# ## 5. Search, and keep the test set clean
#
# Six settings are tried; the best by *validation* wins; then the *test* split is looked at once, and that figure is reported. Write
# `search(configs, train, score)` → the setting that won, and the figure. `train(config)` returns a model, `score(model, "validation")` its accuracy; the splits are
# `"train"`, `"validation"` and `"test"`.


# %% tags=["stub"] mlops_lab={"exercise": "train-5"}
def search(configs, train, score):
    models = [train(config) for config in configs]
    figures = [score(model, "test") for model in models]
    best = figures.index(max(figures))
    return configs[best], figures[best]


# %% tags=["solution"] mlops_lab={"exercise": "train-5"}
def search(configs, train, score):
    models = [train(config) for config in configs]
    figures = [score(model, "validation") for model in models]
    best = figures.index(max(figures))
    return configs[best], score(models[best], "test")


# %% tags=["check"]
grade.check("train-5", search)

# %% [markdown] tags=["hint"]
# Each look at the test split is a chance to be lucky. How often does your function look, and when?

# %% [markdown]
# How much luck is there? Here are 200 searches over six settings that are all **equally good**: right for 90 of 100, measured with 300 images. The winner always looks better
# than it is.

# %%
lucky = np.random.default_rng(0).binomial(300, 0.9, (200, 6)).max(axis=1) / 300
print(f"true accuracy 0.900, mean figure of the winners {lucky.mean():.3f}")

# %% [markdown]
# ## Stretch
#
# Search for real: `search` with a `train` that builds a network of one hidden layer, six settings of `width` and `learning_rate`, and splits of your own from notebook 1.
# Is the winner still the winner with another seed? If not, what was the search worth?
#
# ## Where it goes wrong
#
# | what you see | what it is |
# |---|---|
# | loss stays near 2.3, accuracy 0.10 | it does not learn: learning rate far too high or low, or labels in another order |
# | loss falls to 1.5 and no further | softmax twice: in the last layer, and `from_logits=True` in the loss |
# | `val_loss` rises while `loss` falls | it learns by heart: keep the epoch before |
# | accuracy 0.703 twice, "so it is repeatable" | accuracy is a rounded shadow: compare the weights |
#
# ## The same from a terminal
#
# ```console
# $ mlops-lab train --limit 2000 --epochs 2 --models tried          # trains and publishes into tried
# $ mlops-lab train --recipe course --epochs 20 --models tried    # as the course does
# $ mlops-lab grade . --only train
# ```
#
# ## What you have seen
#
# A network is some 44,000 numbers of which most stand in one layer. Its loss must fit its labels; its curves say when to stop; its seed makes it repeatable; and
# a figure that was chosen for being high is too high.

# %%
grade.progress()

# %% [markdown]
# Next: [stage 3, store](03_store.ipynb).
