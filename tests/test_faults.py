"""Faults put into the ternary layer: each breaks what its name says, and arithmetic notices it."""

import pytest
import torch

from benchmarks import faults
from bitnet.model.bitlinear import BitLinear
from tests.helpers.project import copy_project, snakemake
from tests.model import test_quantization

FAIL_AT_MOST = 0.3  # of all held-out problems; a scale ten times too large gets 42 % of + alone
NOTICED = [name for name in faults.FAULTS if name not in ("none", "truncated instead of rounded")]


def one_step(fault: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output of a layer with a fault, and the gradients of its input and its weight."""
    torch.manual_seed(0)
    layer, x = BitLinear(16, 8), torch.randn(4, 16, requires_grad=True)
    with faults.FAULTS[fault]():
        y = layer(x)
        y.square().sum().backward()
    return y.detach(), x.grad, layer.weight.grad


def test_each_fault_breaks_what_its_name_says():
    y, to_input, to_weight = one_step("none")
    assert all(part.abs().sum() > 0 for part in (y, to_input, to_weight))
    expected = {
        "no gradient to the weights": (y, to_input, 0 * to_weight),
        "sign of the weights' gradient flipped": (y, to_input, -to_weight),
        "no gradient to the activations": (y, 0 * to_input, to_weight),
        "all codes 0": (0 * y, 0 * to_input, 0 * to_weight),
        "scale x 10": (10 * y, 100 * to_input, 10 * to_weight),
    }
    assert set(expected) == set(NOTICED)
    for fault, wanted in expected.items():
        torch.testing.assert_close(one_step(fault), wanted, msg=lambda m, f=fault: f"{f}: {m}")
    assert not torch.equal(one_step("truncated instead of rounded")[0], y)
    torch.testing.assert_close(one_step("none"), (y, to_input, to_weight))  # all are taken back


def test_the_unit_tests_of_the_quantiser_hold_rounding(monkeypatch):
    by_hand = (
        test_quantization.test_ternary_codes_are_the_rounded_multiples_of_the_mean_absolute_weight
    )
    by_hand()
    monkeypatch.setattr(test_quantization, "ternary_codes", faults.truncated)
    with pytest.raises(AssertionError):
        by_hand()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Data of the study arithmetic_quick."""
    project = copy_project(tmp_path_factory.mktemp("faults"))
    encoded = "data/arithmetic_small/characters32"
    snakemake(project, f"{encoded}/manifest64.json", f"{encoded}/references64.json", "--cores", "1")
    return project / "data"


@pytest.mark.slow
@pytest.mark.often
@pytest.mark.parametrize("fault", NOTICED)
def test_arithmetic_quick_fails_with_each_fault(fault, data, tmp_path):
    found = faults.examined("arithmetic_quick", fault, tmp_path, data)
    assert found["outcome"] == "fail"
    assert found["exact"]["all"] <= FAIL_AT_MOST, found
