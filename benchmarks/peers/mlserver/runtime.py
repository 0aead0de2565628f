"""MLServer's custom runtime with the lab's model, adaptive batching on: a tensor of the Open Inference Protocol."""

import sys
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

sys.path.insert(0, str(Path(__file__).parents[1]))
from model import load as load_model


class Classifier(MLModel):
    """The model, as its documentation writes a custom runtime."""

    async def load(self) -> bool:
        """Load the model."""
        self.predict_images = load_model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the probabilities of the images in the request."""
        images = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        output = NumpyCodec.encode_output("probabilities", self.predict_images(images))
        return InferenceResponse(model_name=self.name, outputs=[output])
