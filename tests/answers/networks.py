"""Answers to the exercises of notebook 07 about whole networks."""

import copy

import torch
from torch import nn

from answers import Answers
from ftpkit import QuantReLU, Sign, data, models, skips


def each_by_hooks(model, batches, unbiased=True):
    """The statistics of every batch, seen from outside; batch norm's own bookkeeping is not used."""
    seen, norms = {}, [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]

    def note(norm, inputs):
        x = inputs[0].detach()
        seen.setdefault(norm, []).append((x.mean((0, 2, 3)), x.transpose(0, 1).flatten(1).var(1, unbiased=unbiased)))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    model.train()
    for x in batches:
        model(x)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        for name, values in zip(("running_mean", "running_var"), zip(*seen[norm], strict=True), strict=True):
            getattr(norm, name).copy_(torch.stack(values).mean(0))
    model.eval()
    return model


def with_a_falling_momentum(model, batches):
    model = copy.deepcopy(model).train()
    for n, x in enumerate(batches, start=1):
        for norm in model.modules():
            if hasattr(norm, "running_mean"):
                norm.momentum = 1 / n
        with torch.inference_mode():
            model(x)
    return model.train(False)


def pass_through(model, batches, momentum=None, training=True, reset="reset_running_stats", modules=nn.Module.modules):
    for norm in modules(model):
        if isinstance(norm, nn.BatchNorm2d):
            if reset:
                getattr(norm, reset)()
            norm.momentum = momentum
    model.train(training)
    with torch.no_grad():
        for x in batches:
            model(x)
    return model.eval()


def reset_by_hand(model, batches):
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.zero_()
            norm.running_var.fill_(1)
    return pass_through(model, batches, reset="")


def weighted_by_size(model, batches):
    return pass_through(model, [x for x in batches for _ in x])


def reset_every_time(model, batches):
    for x in batches:
        pass_through(model, [x])
    return model


def in_training_mode(model, batches):
    return pass_through(model, batches).train()


def learns(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    for x in batches:
        model(x).square().mean().backward()
        optimizer.step()
    return model.eval()


def without_statistics(model, batches):
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean = norm.running_var = None
    return pass_through(model, batches, reset="")


def returns_the_norms(model, batches):
    return [m for m in pass_through(model, batches).modules() if isinstance(m, nn.BatchNorm2d)]


def returns_nothing(model, batches):
    pass_through(model, batches)


def as_split(batches):
    images = torch.cat([x for x in batches]).abs().to(torch.uint8)
    return data.Split(images, torch.zeros(len(images), dtype=torch.int64))


def factories_in_order(k):
    on_stream = iter([True, False, True, False, True, False, True])
    return models.ResNet(lambda: QuantReLU(k, "FTP-SH") if next(on_stream) else Sign("FTP-SH"), depth=8)


def signs_put_in(k):
    net = models.ResNet(lambda: QuantReLU(k, "FTP-SH"), depth=8, skip="threshold")
    for name in net.layers:
        for block in getattr(net, name):
            block.act1 = Sign("FTP-SH")
    return net


def levels(k, stem=True, where="act2", steps=None, inside="FTP-SH", one=None, **given):
    net = models.ResNet(lambda: Sign(inside), **{"depth": 8} | given)
    make = (lambda: one) if one else (lambda: QuantReLU(steps or k, "FTP-SH"))
    if stem:
        net.act1 = make()
    for stage in (net.layer1, net.layer2, net.layer3):
        setattr(stage[0], where, make())
    return net


def last_sum_forgotten(k):
    net = levels(k)
    net.layer3[0].act2 = Sign("FTP-SH")
    return net


def into_the_stage(k):
    net = models.ResNet(lambda: Sign("FTP-SH"), depth=8)
    for place in (net, net.layer1, net.layer2, net.layer3):
        setattr(place, "act1" if place is net else "act2", QuantReLU(k, "FTP-SH"))
    return net


def behind_the_blocks(k):
    net = models.ResNet(lambda: Sign("FTP-SH"), depth=8)
    for stage in (net.layer1, net.layer2, net.layer3):
        stage.append(QuantReLU(k, "FTP-SH"))
    return net


def taken_out(k):
    net = levels(k)
    net.layer2[0].act1 = nn.Identity()
    return net


def one_branch_too(k):
    net = levels(k)
    net.layer1[0].act1 = QuantReLU(k, "FTP-SH")
    return net


ANSWERS = {
    "remeasured": Answers(
        right=[each_by_hooks, with_a_falling_momentum],
        wrong={
            "property / momentum of 0.1": lambda m, b: pass_through(m, b, momentum=0.1),
            "property / reset every time": reset_every_time,
            "property / evaluation mode": lambda m, b: pass_through(m, b, training=False, reset=""),
            "property / reset, but evaluation mode": lambda m, b: pass_through(m, b, training=False),
            "property / old ones kept": lambda m, b: pass_through(m, b, reset="", momentum=0.1),
            "property / old ones kept as a batch": lambda m, b: pass_through(m, b, reset=""),
            "property / left in training mode": in_training_mode,
            "property / too much reset": lambda m, b: pass_through(m, b, reset="reset_parameters"),
            "property / learns": learns,
            "property / first level only": lambda m, b: pass_through(m, b, modules=nn.Module.children),
            "property / one large batch": lambda m, b: pass_through(m, [torch.cat(list(b))]),
            "property / first batch only": lambda m, b: pass_through(m, b[:1]),
            "property / last batch left out": lambda m, b: pass_through(m, b[:2] if len(b) > 2 else b),
            "property / momentum of 1 / n": lambda m, b: pass_through(m, b, momentum=1 / len(b)),
            "property / reset by hand": reset_by_hand,
            "property / weighted by size": weighted_by_size,
            "property / divided by n": lambda m, b: each_by_hooks(m, b, unbiased=False),
            "property / no statistics": without_statistics,
            "property / list of norms": returns_the_norms,
            "nothing returned": returns_nothing,
            "the kit's own": lambda m, b: skips.recount(m, as_split(b)),
        },
    ),
    "with_levels": Answers(
        right=[factories_in_order, signs_put_in],
        wrong={
            "property / stem forgotten": lambda k: levels(k, stem=False),
            "property / the other way round": lambda k: levels(k, stem=False, where="act1"),
            "property / all staircases": lambda k: models.ResNet(lambda: QuantReLU(k, "FTP-SH"), depth=8),
            "property / all signs": lambda k: models.ResNet(lambda: Sign("FTP-SH"), depth=8),
            "property / k forgotten": lambda k: levels(3),
            "property / levels taken for steps": lambda k: levels(k + 1),
            "property / another rule inside": lambda k: levels(k, inside="SSTE"),
            "property / one module everywhere": lambda k: levels(k, one=QuantReLU(k, "FTP-SH")),
            "property / real skip path": lambda k: levels(k, skip="real"),
            "property / put into the stage": into_the_stage,
            "property / behind the blocks": behind_the_blocks,
            "property / taken out": taken_out,
            "property / another depth": lambda k: levels(k, depth=18),
            "property / last sum forgotten": last_sum_forgotten,
            "property / one branch, too": one_branch_too,
            "property / an activation": lambda k: QuantReLU(k, "FTP-SH"),
            "nothing returned": lambda k: print(end=""),
        },
    ),
}
