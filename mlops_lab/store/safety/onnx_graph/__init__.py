"""Upper bounds on the cost of running an ONNX graph. ``cost`` follows it, a rule for each operator (``operators``)."""
