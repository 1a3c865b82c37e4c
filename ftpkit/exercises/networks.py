"""The exercises of notebook 07 about whole networks: batch norm measured anew, levels on the stream."""

import copy

import torch
from torch import Tensor, nn

from .. import models
from ..activations import QuantReLU, Sign
from ..rules import RULES
from .card import Case, Exercise, Property


def remeasured(model: nn.Module, batches: list[Tensor]) -> nn.Module:
    """Measure the mean and variance of every batch norm anew; no weight changes.

    model: a network with nn.BatchNorm2d at any depth. batches: its inputs, each (images, channels, rows, columns).
    Returns the model in evaluation mode. Every running_mean and running_var is the plain mean, over the batches, of
    what batch norm measured on each of them in training mode; of what it kept before nothing is left.
    """
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    return model.eval()


def _norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def _measured(model, batches, reset: bool, momentum: float | None) -> nn.Module:
    """As readers measure: with or without a new start, the mean over the batches with another momentum."""
    model = copy.deepcopy(model)
    for norm in _norms(model):
        norm.momentum = momentum
        if reset:
            norm.reset_running_stats()
    model.train()
    with torch.no_grad():
        for x in batches:
            model(x)
    return model


_STATISTICS = ("running_mean", "running_var")


def _alike(model: nn.Module, other: nn.Module, keys: tuple[str, ...] = _STATISTICS) -> bool:
    pairs = zip(_norms(model), _norms(other), strict=True)
    return all(torch.allclose(getattr(a, key), getattr(b, key), rtol=1e-4, atol=1e-5) for a, b in pairs for key in keys)


def _wrong_statistics(before: nn.Module, batches: list[Tensor]):
    def wrong(after) -> str:
        if not isinstance(after, nn.Module) or len(_norms(after)) != len(_norms(before)):
            return "It is to give back the model itself, with all its batch norms."
        if any(norm.running_mean is None for norm in _norms(after)):
            return "A batch norm keeps no statistics any more."
        new = dict(after.named_parameters())
        changed = [key for key, old in before.named_parameters() if key not in new or not torch.equal(old, new[key])]
        of_norms = {id(each) for norm in _norms(after) for each in norm.parameters()}
        if changed and all(id(new.get(key)) in of_norms for key in changed):
            return "Batch norm's own weight and bias have changed: `reset_parameters` forgets too much."
        if changed:
            return f"A weight has changed: {changed[0]}. Nothing is to be learned here."
        if _alike(after, remeasured(copy.deepcopy(before), batches)):
            still = any(module.training for module in after.modules())
            return "The statistics are right, but the model is still in training mode." if still else ""
        return _what_was_measured(before, batches, after)

    return wrong


def _what_was_measured(before, batches, after) -> str:
    if _alike(after, before):
        return "Nothing was measured: batch norm measures in training mode only."
    fresh = copy.deepcopy(before)
    for norm in _norms(fresh):
        norm.reset_running_stats()
    if _alike(after, fresh):
        return "What it kept is forgotten, but nothing new was measured: is it in training mode, its momentum not 0?"
    right = remeasured(copy.deepcopy(before), batches)
    if _alike(after, right, ("running_mean",)):
        return "The means are right, the variances are not: they too are measured anew, with n - 1 in place of n."
    if any(_alike(nn.ModuleList([a]), nn.ModuleList([b])) for a, b in zip(_norms(after), _norms(right), strict=True)):
        return "Some batch norms are right, others are not: `model.modules()` finds them at any depth."
    known = {
        "Old statistics are still in it: forget them first. And each batch is to count the same.": (False, 0.1),
        "Old statistics are still in it: they count as one batch more. Forget them first.": (False, None),
        "Batch norm's `momentum` of 0.1: the last batch counts most, and the 0 and 1 of the start, too.": (True, 0.1),
        "A fixed momentum of 1 / n is no mean: the later batches count more.": (True, 1 / len(batches)),
        "Only the last batch counts: is something reset in every round, or is momentum 1?": (True, 1.0),
    }
    for hint, (reset, momentum) in known.items():
        if _alike(after, _measured(before, batches, reset, momentum)):
            return hint
    for norm in _norms(fresh):
        norm.num_batches_tracked.fill_(1)
    if _alike(after, _measured(fresh, batches, False, None)):
        return "The 0 and 1 of the start count as one batch more: `num_batches_tracked` has to be 0 again, too."
    if _alike(after, _measured(before, [x for x in batches for _ in x.split(1)], True, None)):
        return "Each batch counts by the number of its images: all are to count the same."
    if _alike(after, _measured(before, [torch.cat(batches)], True, None)):
        return "All images went through as one batch: each of the batches is to count the same, whatever its size."
    if _alike(after, _measured(before, batches[:1], True, None)):
        return "Only the first batch was measured."
    return "Other statistics than the plain mean over these batches: what does `momentum = None` do?"


def _small_network(seed: int) -> nn.Module:
    """Two batch norms, one of them inside of a block; both keep what has nothing to do with the cases."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inner = nn.Sequential(nn.Tanh(), nn.Conv2d(3, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2))
        model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), inner)
        for norm in _norms(model):
            norm.running_mean.normal_()
            norm.running_var.uniform_(2, 3)
            norm.num_batches_tracked.fill_(1)
            nn.init.uniform_(norm.weight, 0.5, 2)
    return model


def _statistics_cases():
    generator = torch.Generator().manual_seed(5)

    def images(number, height=5, shift=0.0):
        return 2 * torch.randn(number, 1, height, 5, generator=generator) + shift

    def case(about, model, batches):
        wanted = "new statistics, the plain mean over the batches; the old weights; evaluation mode"
        return Case(about, (model, batches), Property(wanted, _wrong_statistics(copy.deepcopy(model), batches)))

    yield case("three batches of four images", _small_network(0), [images(4, shift=s) for s in (0.0, 1.0, 3.0)])
    yield case("batches of unlike sizes", _small_network(1), [images(5), images(2, shift=2.0), images(1, shift=-1.0)])
    yield case("one batch, and a model in evaluation mode", _small_network(2).eval(), [images(6, height=7)])


_REMEASURED = Exercise(
    notebook="07",
    title="measure batch norm anew",
    goal="see how much of the damage of hardening is not in the weights.",
    difficulty="harder",
    minutes=20,
    reference=remeasured,
    cases=_statistics_cases,
    mistakes=(),
    hints=(
        "What does batch norm measure, and in which mode? What has to be forgotten first?",
        "`norm.reset_running_stats()` forgets. With `norm.momentum = None` batch norm keeps a plain mean over batches.",
        "For every nn.BatchNorm2d in model.modules() do both; model.train(); each batch once, without gradients; "
        "return model.eval().",
    ),
    explanation=(
        "In training mode batch norm divides by the batch's own statistics and keeps a running mean of them, whether "
        "or not anything is learned. Its default, momentum 0.1, would let the last batches count most. "
        "`skips.recount` is the kit's."
    ),
)


def with_levels(k: int) -> nn.Module:
    """A ResNet-8 whose stream takes the levels of a staircase, while its branches hold signs.

    k: steps of the staircase, a number >= 2. Returns `models.ResNet(..., depth=8)`, skip="threshold": QuantReLU(k,
    "FTP-SH") behind the stem and behind each sum, Sign("FTP-SH") between the convolutions of each of the three blocks.
    """
    net = models.ResNet(lambda: Sign("FTP-SH"), depth=8)
    net.act1 = QuantReLU(k, "FTP-SH")
    for stage in (net.layer1, net.layer2, net.layer3):
        stage[0].act2 = QuantReLU(k, "FTP-SH")
    return net


_ON_STREAM = {"act1", "layer1.0.act2", "layer2.0.act2", "layer3.0.act2"}
_ON_STAGES = {f"layer{stage}.act{n}" for stage in (1, 2, 3) for n in (1, 2)}
_IN_BRANCHES = {"layer1.0.act1", "layer2.0.act1", "layer3.0.act1"}


def _wrong_levels(k: int):
    def wrong(net) -> str:
        if not isinstance(net, models.ResNet):
            return "It is to be a network made by models.ResNet."
        if sum(isinstance(module, models.BasicBlock) for module in net.modules()) != 3:
            return "A ResNet-8 has three blocks; this network has another depth."
        pairs = net.named_modules(remove_duplicate=False)
        found = {name: module for name, module in pairs if isinstance(module, Sign | QuantReLU)}
        if "act_last" in found:
            return 'That is skip="real": there the stream meets no threshold that could be replaced.'
        if stray := set(found) - (_ON_STREAM | _IN_BRANCHES):
            if not stray <= _ON_STAGES:
                return f"A threshold stands at {min(stray - _ON_STAGES)}: replace those that are there, and add none."
            return f"{min(stray)} is one threshold too many: a stage is a chain of blocks, and its first is stage[0]."
        if missing := (_ON_STREAM | _IN_BRANCHES) - set(found):
            return f"{min(missing)} is a threshold no more."
        if len({id(module) for module in found.values()}) < 7:
            return "One module stands in several places: make a new one for each."
        stairs = {name for name, module in found.items() if isinstance(module, QuantReLU)}
        if stairs != _ON_STREAM:
            return _misplaced(stairs)
        steps = {found[name].steps for name in stairs}
        if steps == {k + 1} or steps == {k - 1}:
            return "k counts the steps, and so does QuantReLU: k steps make k + 1 levels."
        if steps != {k}:
            return f"The staircases have {', '.join(map(str, sorted(steps)))} steps, whatever k is."
        if any(module.rule != RULES["FTP-SH"] for module in found.values()):
            return "The rule is to be FTP-SH everywhere, or two things would be changed at once."
        return ""

    return wrong


def _misplaced(stairs: set[str]) -> str:
    if not stairs:
        return "All seven are signs."
    if stairs == _ON_STREAM | _IN_BRANCHES:
        return "All seven are staircases: the branches are to keep their signs."
    if stairs == _IN_BRANCHES:
        return "The other way round: act1 of a block stands in its branch."
    if stairs == _ON_STREAM - {"act1"}:
        return "The stream begins behind the stem: `net.act1` belongs to it."
    if stray := sorted(stairs & _IN_BRANCHES):
        return f"{stray[0]} stands in a branch, and is a staircase."
    return f"{min(_ON_STREAM - stairs)} stands on the stream, and is still a sign."


def _level_cases():
    for k in (5, 2, 3):
        wanted = Property(f"staircases of {k} steps on the stream, signs in the branches", _wrong_levels(k))
        yield Case(f"{k} steps", (k,), wanted)


_LEVELS = Exercise(
    notebook="07",
    title="how real must the stream be?",
    goal="build an experiment of your own between the two forms.",
    difficulty="harder",
    minutes=15,
    reference=with_levels,
    cases=_level_cases,
    mistakes=(),
    hints=(
        "Which of the seven thresholds does a number meet that travels along the stream? Their names are in `net`.",
        "Build `models.ResNet` with signs, then replace some of its modules: `net.act1 = ...` puts in another one.",
        "The blocks are net.layer1[0], net.layer2[0] and net.layer3[0]; act2 stands behind a block's sum.",
    ),
    explanation=(
        "More levels are not all that changes: a staircase has outputs from 0 to 1 and saturates there, a sign has "
        "outputs of size 1, the real stream has no bounds at all; and a staircase multiplies the gradient by another "
        "factor. A fair comparison gives each k its own learning rate, and also tries a staircase from -1 to +1."
    ),
    by_hand=False,
)

EXERCISES = (_REMEASURED, _LEVELS)
