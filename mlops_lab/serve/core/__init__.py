"""Inference without a transport: models in memory, admission, batching, traffic, timing. No HTTP here."""
