"""An HTTP client for inference servers: the routes of ``serve``, and TensorFlow Serving's REST interface.

It imports nothing of the server, so it costs little where only a client is needed.
"""

from mlops_lab.client.client import Client, Predictions

__all__ = ["Client", "Predictions"]


def __dir__() -> list[str]:
    return __all__
