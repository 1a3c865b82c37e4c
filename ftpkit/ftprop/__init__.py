"""The paper's algorithms: FTPROP for a whole training set (Algorithm 1), FTPROP-MB for mini-batches (Algorithm 2)."""

from .batch import Moment, Proposed, ftprop
from .minibatch import Layer, LayerStep, minibatch_step, split
from .proposals import PROPOSALS, View

__all__ = ["PROPOSALS", "Layer", "LayerStep", "Moment", "Proposed", "View", "ftprop", "minibatch_step", "split"]
