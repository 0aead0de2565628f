"""HTTP endpoints: the course's routes, TensorFlow Serving, the Open Inference Protocol. They only translate."""
