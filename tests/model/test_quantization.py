"""Quantisers against arithmetic by hand and those of transformers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.integrations.bitnet import ActQuant, WeightQuant
from transformers.integrations.bitnet import BitLinear as PackedBitLinear

from bitnet.model.bitlinear import bit_linear
from bitnet.model.quantization import int8_codes, ternary_codes


def values(largest: float) -> st.SearchStrategy[torch.Tensor]:
    """Small float32 matrices, with zeros, tiny numbers and outliers."""
    number = st.one_of(
        st.floats(-largest, largest, width=32),
        st.floats(-(2.0**-13), 2.0**-13, width=32),
        st.sampled_from([0.0, 0.5, -1.5, largest]),
    )
    return st.integers(1, 4).flatmap(
        lambda rows: st.integers(1, 9).flatmap(
            lambda columns: st.lists(
                st.lists(number, min_size=columns, max_size=columns),
                min_size=rows,
                max_size=rows,
            ).map(lambda x: torch.tensor(x, dtype=torch.float32))
        )
    )


# --- by hand ---


def test_ternary_codes_are_the_rounded_multiples_of_the_mean_absolute_weight():
    # mean |w| = (0.1 + 0.4 + 2 + 0.3 + 0.2 + 0) / 6 = 0.5
    codes, scale = ternary_codes(torch.tensor([[0.1, -0.4, 2.0], [-0.3, 0.2, 0.0]]))
    assert scale.item() == pytest.approx(0.5, rel=1e-6)
    assert codes.tolist() == [[0, -1, 1], [-1, 0, 0]]


def test_ternary_ties_go_to_the_even_neighbour():
    codes, scale = ternary_codes(torch.tensor([0.5, -0.5, 1.5, -1.5]))
    assert scale == 1.0
    assert codes.tolist() == [0, 0, 1, -1]


def test_int8_codes_stretch_each_token_to_127():
    codes, scale = int8_codes(torch.tensor([[1.0, -2.0, 0.5], [10.0, 0.0, -5.0]]))
    # 127 / 2 = 63.5, 63.5 -> 64 (even), 31.75 -> 32; 127 / 10 * -5 = -63.5 -> -64 (even)
    assert codes.tolist() == [[64, -127, 32], [127, 0, -64]]
    torch.testing.assert_close(scale, torch.tensor([[2.0], [10.0]]) / 127, rtol=1e-7, atol=0)


def test_int8_ties_go_to_the_even_neighbour():
    codes, scale = int8_codes(torch.tensor([127.0, 0.5, 1.5, 2.5, -0.5, -1.5]))
    assert scale.tolist() == [1.0]
    assert codes.tolist() == [127, 0, 2, 2, 0, -2]


def test_zeros_stay_zeros_with_the_smallest_scale():
    codes, scale = ternary_codes(torch.zeros(3, 4))
    assert not codes.any()
    assert scale.item() == pytest.approx(1e-5)
    codes, scale = int8_codes(torch.zeros(3, 4))
    assert not codes.any()
    torch.testing.assert_close(scale, torch.full((3, 1), 1e-5 / 127))
    assert not bit_linear(torch.zeros(3, 4), torch.zeros(2, 4))[0].any()


def test_scales_are_clamped_at_1e_5():
    codes, scale = ternary_codes(torch.tensor([4e-6, -6e-6]))  # mean 5e-6; w / 1e-5 = 0.4, -0.6
    assert scale.item() == pytest.approx(1e-5)
    assert codes.tolist() == [0, -1]
    codes, scale = int8_codes(torch.tensor([[5e-6, -1e-6]]))  # 63.5 by 1e-5 in float32; -12.7
    assert codes[0, 0].item() in (63, 64)
    assert codes[0, 1].item() == -13
    assert scale.item() == pytest.approx(1e-5 / 127)


def test_the_mean_of_a_weight_does_not_depend_on_the_number_of_threads():
    weight = torch.randn(512, 1024, generator=torch.Generator().manual_seed(1))
    scales = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        scales.append(ternary_codes(weight)[1].item())
    assert len(set(scales)) == 1
    assert scales[0] == pytest.approx(float(weight.numpy().astype("f8").__abs__().mean()), rel=1e-7)


# --- properties ---


@given(values(1e4))
def test_ternary_codes_are_minus_one_zero_or_one_with_the_sign_of_the_weight(weight):
    codes, scale = ternary_codes(weight)
    assert set(codes.flatten().tolist()) <= {-1.0, 0.0, 1.0}
    assert (codes * weight >= 0).all()
    assert scale >= 0.99e-5


@given(values(1e4))
def test_int8_codes_are_integers_within_127_and_half_a_step_away_at_most(x):
    codes, scale = int8_codes(x)
    assert (codes == codes.round()).all()
    assert codes.abs().max() <= 127
    assert scale.shape == (*x.shape[:-1], 1)
    assert ((codes * scale - x).abs() <= scale * 0.5001).all()


@given(values(1e4))
def test_quantising_again_changes_no_code(x):
    codes, scale = ternary_codes(x)
    assert torch.equal(ternary_codes(codes * scale)[0], codes)
    codes, scale = int8_codes(x)
    again, scale_again = int8_codes(codes * scale)
    assert torch.equal(again, codes)
    torch.testing.assert_close(scale_again, scale, rtol=1e-6, atol=0)


@given(values(100.0), st.integers(-3, 8))
def test_codes_do_not_change_with_a_power_of_two_of_the_input(x, exponent):
    for quantise in (ternary_codes, int8_codes):
        codes, scale = quantise(x)
        if (scale > 1e-3).all():  # well above the clamp
            assert torch.equal(quantise(x * 2.0**exponent)[0], codes)


# --- against transformers ---


@pytest.mark.parametrize("seed", range(4))
def test_activation_codes_equal_those_of_transformers_bit_for_bit(seed):
    x = torch.randn(64, 96, generator=torch.Generator().manual_seed(seed)) * 10.0 ** (seed - 2)
    x[0] = 0
    codes, scale = int8_codes(x)
    theirs, their_scale = PackedBitLinear(96, 4, bias=False).activation_quant(x)
    assert torch.equal(codes, theirs.float())
    torch.testing.assert_close(scale, 1 / their_scale, rtol=1e-6, atol=0)
    torch.testing.assert_close(codes * scale, ActQuant.apply(x), rtol=1e-6, atol=0)


@pytest.mark.parametrize("std", [1e-7, 1e-3, 0.02, 1.0])
def test_ternary_weights_equal_those_of_transformers(std):
    weight = torch.randn(96, 160, generator=torch.Generator().manual_seed(0)) * std
    codes, scale = ternary_codes(weight)
    torch.testing.assert_close(codes * scale, WeightQuant.apply(weight), rtol=1e-6, atol=0)
