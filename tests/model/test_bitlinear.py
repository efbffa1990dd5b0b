"""BitLinear and its gradients against hand, transformers' BitLinear, and autograd."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.integrations.bitnet import AutoBitLinear, pack_weights
from transformers.integrations.bitnet import BitLinear as PackedBitLinear

from bitnet.config.recipe import ModelConfig
from bitnet.model import bitlinear, products
from bitnet.model.bitlinear import BitLinear, bit_linear, make_linear
from bitnet.model.quantization import int8_codes, ternary_codes
from bitnet.model.transformer import Transformer

BF16 = 2.0**-8  # largest relative error of one rounding to bfloat16


def layer(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The map under test, of one weight."""
    return bit_linear(x, weight)[0]


def each(one):
    """A map of one weight as a map of several."""
    return lambda x, *weights: tuple(one(x, weight) for weight in weights)


def textbook(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """BitLinear as papers write it: fake quantisation, straight-through by detach, autograd."""
    w_scale = weight.abs().mean().clamp(min=1e-5)
    w = weight + ((weight / w_scale).round().clamp(-1, 1) * w_scale - weight).detach()
    x_scale = 127 / x.abs().amax(dim=-1, keepdim=True).clamp(min=1e-5)
    x = x + ((x * x_scale).round().clamp(-128, 127) / x_scale - x).detach()
    return F.linear(x, w)


def without_straight_through(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The same map, differentiated through round() and the scales: what must not be trained."""
    codes, scale = ternary_codes(weight)
    x_codes, x_scale = int8_codes(x)
    return F.linear(x_codes * x_scale, codes * scale)


def example(dtype: torch.dtype, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Activations (2, 5, 24), a weight (16, 24) and an outer gradient (2, 5, 16)."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 5, 24, generator=g, dtype=torch.float64) * 3
    weight = torch.randn(16, 24, generator=g, dtype=torch.float64) * 0.02
    grad = torch.randn(2, 5, 16, generator=g, dtype=torch.float64)
    return x.to(dtype), weight.to(dtype), grad.to(dtype)


def gradients(layer, x: torch.Tensor, weight: torch.Tensor, grad: torch.Tensor):
    """Output of `layer` and its gradients for x and weight."""
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    y = layer(x, weight)
    return y.detach(), *torch.autograd.grad(y, (x, weight), grad)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Norm of the difference over the norm of b."""
    return ((a - b).double().norm() / b.double().norm()).item()


def test_a_layer_of_whole_numbers_gives_what_the_hand_gives():
    # Row [127, -50] is its own codes (scale 1); weights are t * 2 with mean |w| = 2.
    x = torch.tensor([[127.0, -50.0]])
    weight = torch.tensor([[2.0, 2.0], [-2.0, 2.0]])
    assert layer(x, weight).tolist() == [[154.0, -354.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_layer_equals_transformers_that_quantises_online(dtype):
    # AutoBitLinear quantises in float32 whatever its type: float32's accuracy is all one can ask.
    x, weight, _ = example(dtype)
    theirs = AutoBitLinear(24, 16, bias=False, dtype=dtype, online_quant=True)
    ours = BitLinear(24, 16).to(dtype)
    with torch.no_grad():
        theirs.weight.copy_(weight)
        ours.weight.copy_(weight)
    y = ours(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y, theirs(x), rtol=1e-5, atol=1e-6 * y.abs().max().item())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_the_layer_equals_transformers_on_packed_weights(dtype, tolerance):
    x, weight, _ = example(dtype)
    codes, scale = ternary_codes(weight)
    theirs = PackedBitLinear(24, 16, bias=False, dtype=dtype)
    theirs.weight.copy_(pack_weights(codes.clone()))
    theirs.weight_scale.copy_(1 / scale)
    y = layer(x, weight)
    torch.testing.assert_close(y, theirs(x), rtol=tolerance, atol=tolerance * y.abs().max().item())


# --- gradients ---


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_the_layer_equal_the_textbook_form(seed):
    inputs = example(torch.float64, seed)
    for ours, theirs in zip(gradients(layer, *inputs), gradients(textbook, *inputs), strict=True):
        assert relative(ours, theirs) < 1e-12


def test_gradients_of_the_layer_are_those_of_a_linear_map_with_quantised_factors():
    x, weight, grad = example(torch.float64)
    _, grad_x, grad_w = gradients(layer, x, weight, grad)
    codes, scale = ternary_codes(weight)
    x_codes, x_scale = int8_codes(x)
    expected_x = torch.einsum("bto,oi->bti", grad, codes * scale)
    expected_w = torch.einsum("bto,bti->oi", grad, x_codes * x_scale)
    assert relative(grad_x, expected_x) < 1e-12
    assert relative(grad_w, expected_w) < 1e-12


def test_without_straight_through_the_gradients_differ():
    inputs = example(torch.float64)
    y, grad_x, grad_w = gradients(layer, *inputs)
    y_without, x_without, w_without = gradients(without_straight_through, *inputs)
    assert relative(y_without, y) < 1e-12
    assert relative(x_without, grad_x) > 0.5
    assert relative(w_without, grad_w) > 0.5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_maps_of_one_input_are_the_maps_one_by_one(dtype):
    x, weight, grad = example(dtype)
    others = [weight, -2 * weight[:7] + 0.1, weight.flip(0)[:3]]
    grads = [grad, grad[..., :7] * 3, grad[..., :3] - 1]
    inputs = [t.clone().requires_grad_() for t in (x, *others)]
    together = bit_linear(inputs[0], *inputs[1:])
    ours = torch.autograd.grad(together, inputs, grads)
    alone = [gradients(layer, x, w, g) for w, g in zip(others, grads, strict=True)]
    expected = [sum(x for _, x, _ in alone), *(w for _, _, w in alone)]
    for y, (expected_y, _, _) in zip(together, alone, strict=True):
        assert torch.equal(y, expected_y)
    for a, b in zip(ours, expected, strict=True):
        assert relative(a, b) < (1e-12 if dtype == torch.float64 else 1e-6)


def test_only_the_gradients_asked_for_are_given():
    x, weight, grad = example(torch.float64)
    expected = gradients(textbook, x, weight, grad)
    frozen = weight.clone()
    x_only = x.clone().requires_grad_()
    layer(x_only, frozen).backward(grad)
    assert frozen.grad is None
    assert relative(x_only.grad, expected[1]) < 1e-12
    w_only = weight.clone().requires_grad_()
    layer(x, w_only).backward(grad)
    assert relative(w_only.grad, expected[2]) < 1e-12


# --- products of int8 codes ---


@pytest.fixture
def always_integers(monkeypatch):
    """Products of integers at every size and on every CPU: torch has them everywhere, if slowly."""
    monkeypatch.setattr(products, "VNNI", True)
    monkeypatch.setattr(products, "INTEGERS_FROM", 0)


def test_a_product_of_integers_is_exact():
    """Against int64 arithmetic, at sums that float32 cannot hold (over 2^24)."""
    torch.manual_seed(0)
    rows = torch.randint(100, 128, (5, 400_000), dtype=torch.int8)
    weight = torch.randint(0, 2, (3, 400_000), dtype=torch.int8)
    exact = (rows.long() @ weight.long().T).to(torch.float32)
    scale = torch.tensor([[1.0], [0.5], [2.0], [4.0], [0.25]])
    assert exact.min() > 2**24
    assert torch.equal(products.integer_product(rows, weight, scale), exact * scale)


def test_products_of_integers_give_the_textbook_layer_and_gradients(always_integers):
    x, weight, grad = example(torch.float32)
    assert products.integers_pay(x, [weight])
    ours = gradients(layer, x, weight, grad)
    # In float64 nothing is rounded but the codes, which are the same ones.
    expected = gradients(textbook, x, weight, grad)
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype == torch.float32
        assert relative(a, b) < 1e-6


def test_maps_of_one_input_are_the_maps_one_by_one_as_integers_too(always_integers):
    test_maps_of_one_input_are_the_maps_one_by_one(torch.float32)


def test_integers_are_multiplied_only_where_that_is_fast(monkeypatch):
    weights = [torch.zeros(256, 256)]
    monkeypatch.setattr(products, "VNNI", True)
    assert products.integers_pay(torch.zeros(4, 64, 256), weights)
    assert not products.integers_pay(torch.zeros(4, 63, 256), weights)
    assert not products.integers_pay(torch.zeros(4, 64, 256).double(), weights)
    monkeypatch.setattr(products, "VNNI", False)
    assert not products.integers_pay(torch.zeros(4, 64, 256), weights)


def model_gradients(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, dict]:
    """Loss and gradients of a small ternary model on fixed tokens."""
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=50, hidden_size=32, num_layers=2)
    model = Transformer(config, sequence_length=12).to(dtype)
    ids = torch.randint(0, 50, (3, 13), generator=torch.Generator().manual_seed(1))
    loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in model.named_parameters()}


def test_gradients_of_a_whole_model_equal_the_textbook_form(monkeypatch):
    loss, ours = model_gradients()
    monkeypatch.setattr(bitlinear, "bit_linear", each(textbook))
    expected_loss, expected = model_gradients()
    assert abs(loss - expected_loss) < 1e-12
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0, name
        assert relative(ours[name], gradient) < 1e-12, name


def test_a_whole_model_without_straight_through_does_not_pass_that_test(monkeypatch):
    loss, ours = model_gradients()
    monkeypatch.setattr(bitlinear, "bit_linear", each(without_straight_through))
    other_loss, others = model_gradients()
    assert abs(loss - other_loss) < 1e-12
    # What feeds quantisers only: the matrices of every layer.
    matrices = [name for name in ours if name.endswith("_proj.weight")]
    assert len(matrices) == 2 * 6
    assert all(relative(others[name], ours[name]) > 0.5 for name in matrices)


# --- bfloat16 ---


def test_every_integer_code_is_exact_in_bfloat16():
    codes = torch.arange(-128, 128, dtype=torch.float32)
    assert torch.equal(codes.to(torch.bfloat16).float(), codes)


@pytest.mark.parametrize("input_dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_the_output_is_bfloat16_within_two_roundings_of_float32(input_dtype):
    x, weight, _ = example(torch.float32)
    x = x.to(input_dtype)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x, weight)
    assert y.dtype == torch.bfloat16
    assert y.isfinite().all()
    exact = layer(x.double(), weight.double())
    # The sum of integer products is rounded once, its product with the scales again.
    # (A sum of integers may be 0 exactly where one of multiples of scales is a last place off.)
    assert ((y.double() - exact).abs() <= 2.05 * BF16 * exact.abs() + 1e-15).all()


def test_under_autocast_gradients_keep_their_types_and_are_within_half_a_percent():
    x, weight, grad = example(torch.float32)
    _, exact_x, exact_w = gradients(textbook, x.double(), weight.double(), grad.double())

    def mixed(x, weight):
        with torch.autocast("cpu", torch.bfloat16):
            return layer(x, weight)

    _, grad_x, grad_w = gradients(mixed, x, weight, grad.bfloat16())
    assert grad_x.dtype == grad_w.dtype == torch.float32
    assert relative(grad_x, exact_x) < 0.005
    assert relative(grad_w, exact_w) < 0.005


def test_under_autocast_a_whole_model_has_gradients_within_five_percent():
    _, exact = model_gradients(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        loss, mixed = model_gradients(torch.float32)
    assert loss.isfinite()
    for name, gradient in exact.items():
        assert mixed[name].isfinite().all()
        assert relative(mixed[name], gradient) < 0.05, name


# --- the layer's class ---


def test_a_wrong_kind_of_weights_is_refused_with_the_allowed_ones():
    with pytest.raises(ValueError, match=r"weights is 'binary'; allowed: ternary, full_precision"):
        make_linear(2, 2, "binary")


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9))
def test_both_kinds_have_the_same_shape_and_no_bias(n_in, n_out):
    for weights in ("ternary", "full_precision"):
        layer = make_linear(n_in, n_out, weights)
        assert layer.weight.shape == (n_out, n_in)
        assert layer.bias is None
        assert isinstance(layer, BitLinear) == (weights == "ternary")
