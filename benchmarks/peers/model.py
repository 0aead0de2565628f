"""The lab's LeNet-5 as the peers' quickstarts load a model: with Keras, or with ONNX Runtime (``ENGINE=onnx``)."""

import os

FOLDER = os.environ["MODEL_FOLDER"]


def load():
    """Return a function from images (n, 28, 28, 1) of float32 to probabilities (n, 10)."""
    return load_onnx() if os.environ.get("ENGINE") == "onnx" else load_keras()


def load_keras():
    """Return Keras's own ``predict``, as a quickstart calls it."""
    import keras

    model = keras.models.load_model(f"{FOLDER}/model.keras")
    return lambda images: model.predict(images, verbose=0)


def load_onnx():
    """Return a call of ONNX Runtime with one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx", options)
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})[0]
