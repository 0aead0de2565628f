"""HTTP endpoints: the course's routes, TensorFlow Serving and the Open Inference Protocol. These files only translate."""
