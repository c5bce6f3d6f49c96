"""The version of deqc, kept apart so that every room may read it."""

__version__ = "0.1.0"
