"""A client for our server, and for TensorFlow Serving: it packs images, speaks the server's dialect, and unpacks."""

from mlops_lab.serve.client.asking import Client as Client
from mlops_lab.serve.client.asking import Predictions as Predictions
