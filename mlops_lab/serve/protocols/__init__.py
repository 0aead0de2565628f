"""The dialects of one port: the course's routes, TensorFlow Serving and Open Inference Protocol."""
