"""Models fed one into the next."""
