"""Cells and notebooks as dicts, for tests that plant something in them."""

import copy

ALT = "Two straight lines cross at the origin; the steeper one is the hinge."
PIXELS = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def code(source, *outputs, tags=(), **metadata):
    metadata |= {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": metadata}


def text(source):
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def result(**data):
    data = {kind.replace("_", "/"): value for kind, value in data.items()}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def printed(line):
    return {"output_type": "stream", "name": "stdout", "text": line}


def figure(alt=ALT, pixels=PIXELS):
    img = f'<img alt="{alt}" src="data:image/png;base64,{pixels}">'
    return result(text_html=img, text_plain=f"Figure: {alt}")


def notebook(*cells):
    """A notebook as `make notebooks` leaves it."""
    nb = {
        "cells": copy.deepcopy(list(cells)),
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    for i, cell in enumerate(nb["cells"]):
        cell["id"] = f"cell-{i}"
    for i, cell in enumerate((c for c in nb["cells"] if c["cell_type"] == "code"), start=1):
        cell["execution_count"] = i
    return nb
