"""The paper's two algorithms: FTPROP on a whole training set (Algorithm 1) and FTPROP-MB on mini-batches (Algorithm 2)."""

from .minibatch import Layer, LayerStep, minibatch_step, split

__all__ = ["Layer", "LayerStep", "minibatch_step", "split"]
