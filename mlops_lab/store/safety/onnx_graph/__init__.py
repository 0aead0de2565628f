"""What a run of an ONNX graph can cost at most: ``cost`` follows it, by a rule for each operator (``operators``)."""
