"""Runs on disk: a folder each, that can be taken up again, and the table made of them."""
