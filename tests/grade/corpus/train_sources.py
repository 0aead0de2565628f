"""Reference answers to train-1 to train-5."""

CURVES = """
def best_epoch(history):
    losses = history["val_loss"]
    return losses.index(min(losses)) + 1

def overfits_from(history):
    losses = history["val_loss"]
    for start in range(len(losses) - 5):
        part = losses[start : start + 6]
        if all(later > earlier for earlier, later in zip(part, part[1:])):
            return start + 1
    return None
"""

SEARCH = """
def search(configs, train, score):
    models = [train(config) for config in configs]
    scores = [score(model, "validation") for model in models]
    best = scores.index(max(scores))
    return configs[best], score(models[best], "test")
"""

NETWORK = """
import keras
from keras import layers

def lenet5():
    model = keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(6, 5, activation="relu"),
        layers.AveragePooling2D(2),
        layers.Conv2D(16, 5, activation="relu"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(120, activation="relu"),
        layers.Dense(84, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ])
    return model
"""

COMPILE = """
import numpy as np

def one_hot(labels):
    return np.eye(10)[labels]

def compile_for(model, labels):
    loss = "sparse_categorical_crossentropy" if labels.ndim == 1 else "categorical_crossentropy"
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model
"""

REPEAT = """
import hashlib
import keras
import numpy as np

def digest(weights):
    return hashlib.sha256(b''.join(one.tobytes() for one in weights)).hexdigest()

def trained(seed, images, labels):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([
        keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(loss="sparse_categorical_crossentropy")
    model.fit(images / 255, labels, epochs=1, verbose=0)
    return digest(model.get_weights())

def repeatable(seed, images, labels):
    return trained(seed, images, labels), trained(seed, images, labels)
"""
