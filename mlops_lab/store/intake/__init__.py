"""Take in a model from anywhere: what it is, what it takes and answers, and the files that it becomes.

``recognise`` tells the framework (``keras_model``, ``sklearn_model``, ``boosting``, ``onnx_model``, ``code``);
``preparing`` runs the examples and infers the signature from what comes out (``inputs``, ``outputs``).
"""
