"""A simulated body with a sensor on it, and the truth about what it did.  Imports nothing of `posturewatch`."""
