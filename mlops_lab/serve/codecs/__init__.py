"""Bytes to arrays and predictions to bytes, for every protocol. No HTTP framework here."""
