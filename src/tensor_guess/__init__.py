"""Train a picture classifier from a folder per category, and use it."""

__version__ = "1.0.0"
