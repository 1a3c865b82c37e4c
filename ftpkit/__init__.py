"""ftpkit: learn deep networks of hard-threshold units by target propagation (Friesen and Domingos, ICLR 2018).

``import ftpkit`` loads nothing yet: a name is fetched when it is first used, so that the doctor can speak where PyTorch
is missing, and the core runs where Jupyter, matplotlib or pandas are.
"""

from importlib import import_module

_HOMES = {
    "activations": "QuantReLU SaturatedReLU Sign Step quant_relu saturated_relu set_scale sign step",
    "losses": "LOSSES Loss",
    "rules": "RULES Rule as_rule gradient_sign",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_ROOMS = [
    *_HOMES,
    "data",
    "explore",
    "formula",
    "ftprop",
    "imagenet",
    "loop",
    "models",
    "names",
    "packed",
    "perceptron",
    "plots",
    "presets",
    "probe",
    "processes",
    "race",
    "rounding",
    "runs",
    "search",
    "separability",
    "surrogate",
    "train",
]

__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    if name == "__version__":
        return import_module("importlib.metadata").version(__name__)
    raise AttributeError(f"module 'ftpkit' has no attribute {name!r}; it has {', '.join([*_ROOMS, *__all__])}")


def __dir__():
    return [*_ROOMS, *__all__, "__version__"]
