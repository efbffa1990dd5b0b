"""Fused linear head and cross-entropy: loss and gradient are computed together, chunk by chunk.

F.cross_entropy passes five times over tokens x vocabulary and keeps two arrays of that size, which
at a vocabulary of 32,000 are the largest of a training. Here a chunk of logits is overwritten by
its softmax and then by its gradient.
"""

import torch
import torch.nn.functional as F

from bitnet.model.products import mixed_types

LOGITS_AT_ONCE = 2**24  # elements of a chunk of logits: 64 MB in float32


def head_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    label_smoothing: float = 0.0,
    at_once: int = LOGITS_AT_ONCE,
) -> torch.Tensor:
    """Mean cross-entropy, in nats, of the logits `hidden @ weight.T` against `targets`.

    hidden (N, C), weight (V, C), targets (N,) int64; `label_smoothing` means what it means in
    F.cross_entropy; `at_once` is the number of logits held at a time. Returns a scalar of the
    weight's dtype, in which the softmax is computed too; mixed products (`mixed_types`) have
    bfloat16 factors.
    """
    return _HeadLoss.apply(hidden, weight, targets, label_smoothing, at_once)


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden, weight, targets, smoothing, at_once):
        types = mixed_types(hidden, [weight])
        fast = types[0] if types else weight.dtype
        rows, matrix = hidden.to(fast), weight.to(fast)
        count, size = len(targets), len(weight)
        total = weight.new_zeros(())
        grad_hidden, grad_weight = torch.empty_like(rows), torch.empty_like(weight)
        step = max(1, at_once // size)
        for n in range(0, count, step):
            some, target = rows[n : n + step], targets[n : n + step, None]
            x = F.linear(some, matrix).to(weight.dtype)  # logits (step, V)
            x.sub_(x.amax(1, keepdim=True))
            wanted = (1 - smoothing) * x.gather(1, target)
            if smoothing:
                wanted += smoothing * x.mean(1, keepdim=True)
            weights = x.exp_().sum(1, keepdim=True)
            total += (weights.log() - wanted).sum()
            x.mul_(1 / (count * weights))  # the softmax, as a share of the mean
            if smoothing:
                x.sub_(smoothing / (count * size))
            # Of a number, unlike of a tensor, this stays one kernel under deterministic algorithms.
            # A row has one target, so nothing accumulates.
            x.scatter_(1, target, (smoothing - 1) / count, reduce="add")
            x = x.to(fast)
            torch.mm(x, matrix, out=grad_hidden[n : n + step])
            if n == 0:
                grad_weight.copy_(x.mT @ some) if types else torch.mm(x.mT, some, out=grad_weight)
            else:
                grad_weight += x.mT @ some
        ctx.save_for_backward(grad_hidden.to(hidden.dtype), grad_weight)
        return total / count

    @staticmethod
    def backward(ctx, grad):
        grad_hidden, grad_weight = ctx.saved_tensors
        if grad.device.type == "cpu" and grad == 1:  # two passes that would change nothing
            return grad_hidden, grad_weight, None, None, None
        return grad_hidden.mul_(grad), grad_weight.mul_(grad), None, None, None
