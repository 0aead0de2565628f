"""The same answers over gRPC, on a second port."""
