"""Answers to the exercises of notebook 04: the scale of a rule without weights, and a layer used several times."""

import numpy as np
import torch

from answers import Answers
from ftpkit import sign


def scale_by_sums(z, g):
    t = -g.sign()
    sent = (-t * (t * z <= 1)).abs()
    return (sent * g.abs()).sum() / sent.sum()


def scale_in_a_loop(z, g):
    sizes = []
    for margin, size in zip((-g.sign() * z).flatten().tolist(), g.flatten().tolist(), strict=True):
        if size and margin <= 1:
            sizes.append(abs(size))
    return sum(sizes) / len(sizes)


def scale_by_cases(z, g):
    sends = ((g < 0) & (z <= 1)) | ((g > 0) & (z >= -1))
    return float(np.abs(g.numpy()[sends.numpy()]).mean())


def scale_of(margin, sends, size=lambda g: g.abs()):
    """The mean size of g where sends(margin, g) says so."""

    def answer(z, g):
        chosen = sends(margin(z, g), g)
        return size(g)[chosen].sum().item() / int(chosen.sum())

    return answer


def tz(z, g):
    return z * -torch.sign(g)


def scale_for_vectors(z, g):
    sizes = [abs(g[i]).item() for i in range(len(z)) if g[i] != 0 and -torch.sign(g[i]) * z[i] <= 1]
    return np.mean(sizes)


def scale_by_examples(z, g):
    sends = (tz(z, g) <= 1) & (g != 0)
    if z.dim() == 1:
        z, g, sends = z[:, None], g[:, None], sends[:, None]
    return np.mean([float(a[b].abs().mean()) if b.any() else 0.0 for a, b in zip(g, sends, strict=True)])


def target_for(zero):
    """Targets by comparing, with `zero` where g is 0."""
    return lambda z, g: z * torch.where(g > 0, -1.0, torch.where(g < 0, 1.0, zero))


def tied_by_autograd(W, h, g, uses, derivative):
    class Sign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return (z > 0).float() * 2 - 1

        @staticmethod
        def backward(ctx, g):
            return derivative(ctx.saved_tensors[0], -torch.sign(g)) * abs(g)

    W = W.clone().requires_grad_()
    for _ in range(uses):
        h = Sign.apply(h @ W.T)
    h.backward(g)
    return W.grad


def tied_by_recursion(W, h, g, uses, derivative):
    def down(h, left):
        """The gradient that arrives at h, and dL/dW of all uses from here on."""
        if not left:
            return g, 0.0
        z = torch.nn.functional.linear(h, W)
        above, dW = down(1 - 2 * (z <= 0).float(), left - 1)
        sent = derivative(z, -above.sign()) * above.abs()
        return sent @ W, dW + sent.T @ h

    return down(h, uses)[1]


def passed(W, h, uses, unit=lambda z: (z > 0) * 2.0 - 1):
    """What each use sees, what it makes of it, and what comes out."""
    seen = []
    for _ in range(uses):
        z = torch.einsum("bi,ui->bu", h, W)
        seen.append((h, z, unit(z)))
        h = seen[-1][2]
    return seen


def tied_in_a_dict(W, h, g, uses, derivative):
    parts = {}
    for n, (seen, z, _) in list(enumerate(passed(W, h, uses)))[::-1]:
        sent = derivative(z, -torch.sign(g)).mul(g.abs())
        parts[n] = torch.einsum("bu,bi->ui", sent, seen)
        g = sent.mm(W)
    return torch.stack(list(parts.values())).sum(dim=0).numpy()


def tied(
    add=lambda dW, part: dW + part, unit=lambda z: (z > 0) * 2.0 - 1, sent=None, to=lambda g, down: down, down=None
):
    """An answer as readers write it, with something else in one place."""

    def answer(W, h, g, uses, derivative):
        dW = 0 * W
        for seen, z, _ in reversed(passed(W, h, uses, unit)):
            dL_dz = derivative(z, -g.sign()) * g.abs() if sent is None else sent(z, g, derivative)
            dW = add(dW, torch.matmul(dL_dz.T, seen))
            g = to(g, torch.matmul(dL_dz, W if down is None else down(W)))
        return dW

    return answer


def tied_last_only(W, h, g, uses, derivative):
    h, z, _ = passed(W, h, uses)[-1]
    return (derivative(z, -g.sign()) * g.abs()).T @ h


def tied_down_to_the_second(W, h, g, uses, derivative):
    steps, dW = passed(W, h, uses), torch.zeros_like(W)
    for k in range(uses - 1, 0, -1):
        sent = derivative(steps[k][1], -g.sign()) * g.abs()
        dW += sent.T @ steps[k][0]
        g = sent @ W
    return dW


def tied_forward_by_rows(W, h, g, uses, derivative):
    H, Z = [h], []
    for _ in range(uses):
        Z.append(H[-1] @ W)
        H.append((Z[-1] > 0) * 2.0 - 1)
    dW = torch.zeros_like(W)
    for k in range(uses)[::-1]:
        sent = derivative(Z[k], -g.sign()) * g.abs()
        dW += H[k].T @ sent
        g = sent @ W.T
    return dW


def tied_with_inputs(which):
    def answer(W, h, g, uses, derivative):
        steps, dW = passed(W, h, uses), torch.zeros_like(W)
        for k in range(uses)[::-1]:
            sent = derivative(steps[k][1], -g.sign()) * g.abs()
            dW += sent.T @ which(steps, k)
            g = sent @ W
        return dW

    return answer


def tied_passing(on):
    """An answer in which the use before gets another g: on(g, what is sent to z)."""

    def answer(W, h, g, uses, derivative):
        dW = 0 * W
        for seen, z, _ in passed(W, h, uses)[::-1]:
            sent = derivative(z, -g.sign()) * g.abs()
            dW, g = dW + sent.T @ seen, on(g, sent)
        return dW

    return answer


def tied_with_targets_of_the_last(W, h, g, uses, derivative):
    t, dW = torch.where(g > 0, -1.0, torch.where(g < 0, 1.0, 0.0)), 0 * W
    for seen, z, _ in reversed(passed(W, h, uses)):
        sent = derivative(z, t) * g.abs()
        dW, g = dW + sent.T @ seen, sent @ W
    return dW


def tied_at_the_last(W, h, g, uses, derivative):
    steps = passed(W, h, uses)
    return tied(sent=lambda z, g, derivative: derivative(steps[-1][1], -g.sign()) * g.abs())(W, h, g, uses, derivative)


def tied_on_the_way_forward(W, h, g, uses, derivative):
    total = 0
    for _ in range(uses):
        z = torch.nn.functional.linear(h, W)
        sent = derivative(z, -g.sign()) * g.abs()
        total = total + torch.outer(sent[0], h[0]) if len(h) == 1 else total + sent.T @ h
        h, g = 1 - 2.0 * (z <= 0), sent @ W
    return total


def tied_by_the_kit(W, h, g, uses, derivative):
    W = W.clone().requires_grad_()
    for _ in range(uses):
        h = sign(h @ W.T, "Hinge")
    return torch.autograd.grad(h, W, g)[0]


def tied_without_return(W, h, g, uses, derivative):
    W.grad = tied_by_recursion(W, h, g, uses, derivative)


def tied_for_two(W, h, g, uses, derivative):
    dW = torch.zeros(2, 2)
    return tied(add=lambda _, part: dW.add_(part))(W, h, g, uses, derivative)


ANSWERS = {
    "matching_scale": Answers(
        right=[scale_by_sums, scale_in_a_loop, scale_by_cases],
        wrong={
            "mask forgotten": scale_of(tz, lambda margin, g: margin <= 1),
            "target of 0 treated as -1": scale_of(target_for(-1.0), lambda margin, g: ~(margin > 1)),
            "target of 0 treated as +1": scale_of(target_for(1.0), lambda margin, g: ~(margin > 1)),
            "mean over all": lambda z, g: g.abs().mean(),
            "mean over all that have a target": lambda z, g: g.abs().sum() / (g != 0).sum(),
            "sum over few, mean over all": lambda z, g: (g.abs() * (tz(z, g) <= 1)).mean(),
            "sum": lambda z, g: float((g.abs() * (tz(z, g) <= 1)).sum()),
            "target uphill": scale_of(lambda z, g: z * g.sign(), lambda margin, g: (margin <= 1) & (g != 0)),
            "t forgotten": scale_of(lambda z, g: z, lambda margin, g: (margin <= 1) & (g != 0)),
            "margin on the wrong side": scale_of(tz, lambda margin, g: margin >= 1),
            "kink open": scale_of(tz, lambda margin, g: (margin < 1) & (g.abs() > 0)),
            "window of SSTE": scale_of(lambda z, g: z, lambda z, g: (z >= -1) & (z <= 1) & (g != 0)),
            "flips only": scale_of(tz, lambda margin, g: (margin <= 0) & (g != 0)),
            "mean of means": scale_by_examples,
            "share": lambda z, g: ((tz(z, g) <= 1) & (g != 0)).double().mean(),
            "sign kept": scale_of(tz, lambda margin, g: (margin <= 1) & (g != 0), size=lambda g: g),
            "upside down": lambda z, g: scale_by_sums(z, g) ** -1,
            "one over the batch": lambda z, g: 1.0 / z.shape[0],
            "lengths alike": lambda z, g: (
                torch.linalg.vector_norm(g * (tz(z, g) <= 1)) / ((tz(z, g) <= 1) & (g != 0)).sum() ** 0.5
            ),
            "raised": scale_for_vectors,
            "first case": lambda z, g: 2.0,
            "shape": lambda z, g: g.abs() * (tz(z, g) <= 1),
        },
    ),
    "tied_gradient": Answers(
        right=[tied_by_autograd, tied_by_recursion, tied_in_a_dict],
        wrong={
            "gradient overwritten": tied(add=lambda dW, part: part),
            "last use only": tied_last_only,
            "one use left out": tied_down_to_the_second,
            "mean over the uses": lambda *inputs: tied_by_recursion(*inputs) / inputs[3],
            "gradient not sent on": tied(to=lambda g, down: g),
            "sent down by the transposed": tied(down=lambda W: W.t()),
            "forward by the transposed": tied_forward_by_rows,
            "past the layer loss": lambda W, *rest: tied_passing(lambda g, sent: g @ W)(W, *rest),
            "g added up": lambda W, *rest: tied_passing(lambda g, sent: g + sent @ W)(W, *rest),
            "the last targets for all": tied_with_targets_of_the_last,
            "the last z for all": tied_at_the_last,
            "front to back": tied_on_the_way_forward,
            "transposed": lambda *inputs: tied_by_recursion(*inputs).t(),
            "outputs instead of inputs": tied_with_inputs(lambda steps, k: steps[k][2]),
            "the first input for all": tied_with_inputs(lambda steps, k: steps[0][0]),
            "sign(0) = 0": tied(unit=torch.sign),
            "sign(0) = +1": tied(unit=lambda z: torch.where(z < 0, -1.0, 1.0)),
            "weight forgotten": tied(sent=lambda z, g, derivative: derivative(z, -g.sign())),
            "layer loss forgotten": tied(sent=lambda z, g, derivative: g),
            "target uphill": tied(sent=lambda z, g, derivative: derivative(z, g.sign()) * g.abs()),
            "averaged once more": lambda *inputs: tied_by_autograd(*inputs) / inputs[1].shape[0],
            "one shape only": tied_for_two,
            "the kit's own": tied_by_the_kit,
            "nothing returned": tied_without_return,
        },
    ),
}
