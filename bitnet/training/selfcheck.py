"""Self-check of a captured step: its replay against the eager step, both from the same state.

Kernels of a GPU that add in any order (the gradient of attention) make two eager steps differ as
well, by some thousandths; a replay that reads stale or foreign memory differs by about the change
that the step makes. So the tolerance lies between: a tenth of the change, tensor by tensor.
Deterministic algorithms have to give the same bits: a resumed training begins with eager steps.
"""

from collections.abc import Callable, Mapping

import torch

TOLERANCE = 0.1  # |replay - eager| as a share of |eager - before|, in L2 norms
VALUES = "what the step returns"


@torch.no_grad()
def compared(
    eager: Callable[[], torch.Tensor],
    replay: Callable[[], torch.Tensor],
    state: Mapping[str, torch.Tensor],
) -> tuple[torch.Tensor, float, str]:
    """Run a step both ways from the same `state`, the tensors that it changes, by name.

    Returns the replay's values, the largest difference as a share of the step's change, and the
    name of the tensor that it was found in. `state` ends as the replay leaves it, or as the eager
    step does if the difference is above `tolerance()`; then the values are the eager step's. A step
    whose eager values are not finite is not compared. Copies are kept in main memory, twice the
    size of `state`; both copying and comparing wait for the device.
    """
    before = _copy(state)
    with torch.enable_grad():
        values = eager()
    expected = _copy(state)
    _restore(state, before)
    found = replay()
    if not values.isfinite().all():
        return found, 0.0, VALUES
    shares = {name: _share(t, expected[name], before[name]) for name, t in state.items()}
    shares[VALUES] = _share(found, values, torch.zeros_like(values))
    worst = max(shares, key=lambda name: (shares[name] != shares[name], shares[name]))  # NaN first
    if agrees(shares[worst]):
        return found, shares[worst], worst
    _restore(state, expected)
    return values, shares[worst], worst


def tolerance() -> float:
    """Largest share by which a replay may differ: 0 under deterministic algorithms."""
    return 0.0 if torch.are_deterministic_algorithms_enabled() else TOLERANCE


def agrees(share: float) -> bool:
    """Whether a replay that differs by this share of the change counts as the same step."""
    return share <= tolerance()


def _share(found: torch.Tensor, expected: torch.Tensor, before: torch.Tensor) -> float:
    expected, before = expected.to(found.device), before.to(found.device)
    if torch.equal(found, expected):
        return 0.0
    # Of a change as small as rounding, rounding is all that can be compared.
    change = (expected - before).norm() + torch.finfo(found.dtype).eps * expected.norm()
    return ((found - expected).norm() / change).item()


def _copy(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.to("cpu", copy=True) for name, tensor in state.items()}


def _restore(state: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in state.items():
        tensor.copy_(values[name])
