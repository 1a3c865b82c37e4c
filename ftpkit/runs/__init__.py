"""Runs on disk: a folder each, that can be taken up again, and the table made of them."""

from .reading import COMMITTED, Run, curves, find, read, same, survey

__all__ = ["COMMITTED", "Run", "curves", "find", "read", "same", "survey"]
