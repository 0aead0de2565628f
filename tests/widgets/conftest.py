"""A tiny model behind a real server, so that the widgets are tested over real HTTP."""

import numpy as np
import pytest

from mlops_lab import serve
from mlops_lab.predict import Predictor


class Brightness:
    """Says ``0`` to dark images and ``9`` to bright ones: often wrong, never the same confidence."""

    def predict(self, inputs):
        bright = inputs.mean(axis=1) / 16
        rows = np.zeros((len(inputs), 10), np.float32)
        rows[:, 9], rows[:, 0] = bright, 1 - bright
        return rows


class Nine:
    """Says ``9`` to everything."""

    def predict(self, inputs):
        return np.eye(10, dtype=np.float32)[[9] * len(inputs)]


@pytest.fixture(scope="session")
def predictors(digits):
    return [predictor(version, engine, digits) for version, engine in ((1, Brightness()), (2, Nine()))]


def predictor(version, engine, digits):
    info = {"name": "light", "version": f"v{version}", "input": digits.input.to_dict(), "labels": digits.classes}
    return Predictor("light", version, digits.input, digits.classes, engine, info)


@pytest.fixture
def server(predictors):
    with serve.start(predictors, name="widgets") as running:
        yield running


@pytest.fixture
def client(server):
    return serve.Client(server)
