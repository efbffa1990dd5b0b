"""Cross-entropy of the head against torch's own, in loss, gradients and memory."""

import pytest
import torch
import torch.nn.functional as F

from bitnet.training.loss import head_loss

# Under deterministic algorithms these sort on a GPU, and copy from memory that no capture reads.
SORTED = ("scatter_add", "scatter.src", "scatter_.src", "index_put", "index_add", "put_")


def example(dtype=torch.float64, tokens=37, size=50, width=12):
    """Hidden states, head and targets, with logits of some tens."""
    generator = torch.Generator().manual_seed(0)
    hidden = 3 * torch.randn(tokens, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(size, width, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, size, (tokens,), generator=generator)
    return hidden.to(dtype).requires_grad_(), weight.to(dtype).requires_grad_(), targets


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("at_once", [1, 50 * 10, 2**24])  # a token, ten tokens, all at once
def test_loss_and_gradients_are_those_of_torch(smoothing, at_once):
    hidden, weight, targets = example()
    loss = head_loss(hidden, weight, targets, smoothing, at_once)
    ours = torch.autograd.grad(3 * loss, (hidden, weight))
    expected_loss = F.cross_entropy(F.linear(hidden, weight), targets, label_smoothing=smoothing)
    expected = torch.autograd.grad(3 * expected_loss, (hidden, weight))
    torch.testing.assert_close(loss, expected_loss, rtol=1e-13, atol=0)
    for a, b in zip(ours, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_logits_of_a_thousand_neither_overflow_nor_vanish():
    hidden, weight, targets = example(torch.float32)
    with torch.no_grad():
        hidden *= 100
    loss = head_loss(hidden, weight, targets)
    expected = F.cross_entropy(F.linear(hidden, weight), targets)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_gives_a_loss_that_is_not(value):
    hidden, weight, targets = example(torch.float32)
    with torch.no_grad():
        hidden[3] = value
    assert not head_loss(hidden, weight, targets).isfinite()


def test_under_autocast_gradients_keep_their_types_and_are_within_a_percent():
    hidden, weight, targets = example(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss = head_loss(hidden, weight, targets)
    ours = torch.autograd.grad(loss, (hidden, weight))
    exact = F.cross_entropy(F.linear(hidden, weight).double(), targets)
    expected = torch.autograd.grad(exact, (hidden, weight))
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.01 * b.norm()


def test_a_chunk_is_all_that_is_ever_held_of_the_logits():
    hidden, weight, targets = example(torch.float32, tokens=64, size=4096)
    biggest = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            biggest.append(out.numel() if isinstance(out, torch.Tensor) else 0)
            return out

    with Watch():
        head_loss(hidden, weight, targets, at_once=4 * 4096).backward()
    assert max(biggest) == weight.numel() > 4 * 4096


def test_nothing_in_a_loss_is_what_a_deterministic_gpu_sorts():
    called = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            called.append(str(function).removeprefix("aten."))
            return function(*args, **(kwargs or {}))

    with Watch():
        head_loss(*example(), label_smoothing=0.1).backward()
    assert "scatter_.value_reduce" in called
    assert not [name for name in called if name.startswith(SORTED)]
