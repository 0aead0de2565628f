"""Sums over predictions that merge exactly: of a version on held-out data, and of what it answers in production."""
