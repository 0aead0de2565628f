"""BentoML's quickstart with the lab's model, adaptive batching on: JSON with an array."""

import sys
from pathlib import Path

import bentoml
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from model import load


@bentoml.service(workers=1)
class Classifier:
    """The model behind one batchable function."""

    def __init__(self) -> None:
        self.predict_images = load()

    @bentoml.api(batchable=True)
    def classify(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of images of floats from 0 to 1."""
        return self.predict_images(np.asarray(images, np.float32))
