"""Runs on disk: a folder each, that can be taken up again, and the table made of them."""

from .read import Run, curves, find, read

__all__ = ["Run", "curves", "find", "read"]
