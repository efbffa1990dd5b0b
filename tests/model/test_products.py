"""Products in mixed precision and by the faster float32 kernel, against products in float64."""

import pytest
import torch
import torch.nn.functional as F

from bitnet.config.recipe import ModelConfig
from bitnet.model import products
from bitnet.model.bitlinear import make_linear, side_by_side
from bitnet.model.products import fastest_float32, mixed_products
from bitnet.model.transformer import Transformer

CPU = torch.device("cpu")
BF16 = 2.0**-8  # largest relative error of one rounding to bfloat16
KINDS = ("ternary", "full_precision")


def layers(kind: str, *sizes: int) -> list[torch.nn.Module]:
    torch.manual_seed(0)
    return [make_linear(32, size, kind) for size in sizes]


def passed(maps: list, dtype: torch.dtype = torch.float32, mixed: bool = False) -> list:
    """Outputs of maps of one input, and the gradients for it and for each weight."""
    for layer in maps:
        layer.to(dtype).zero_grad()
    g = torch.Generator().manual_seed(1)
    x = torch.randn(2, 6, 32, generator=g, dtype=torch.float64).to(dtype).requires_grad_()
    with mixed_products(CPU, mixed):
        ys = side_by_side(x, *maps)
    grads = [torch.randn(y.shape, generator=g, dtype=torch.float64).to(dtype) for y in ys]
    torch.autograd.backward(ys, grads)
    return [*(y.detach() for y in ys), x.grad, *(layer.weight.grad for layer in maps)]


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return ((found.double() - exact).norm() / exact.norm()).item()


@pytest.fixture
def at_any_size(monkeypatch):
    monkeypatch.setattr(products, "MIXED_FROM", 0)


@pytest.mark.parametrize("vnni", [False, True])
@pytest.mark.parametrize("sizes", [(24,), (32, 16, 16)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_mixed_product_of_a_cpu_is_float32_with_bfloat16_factors(
    kind, sizes, vnni, at_any_size, monkeypatch
):
    monkeypatch.setattr(products, "VNNI", vnni)
    maps = layers(kind, *sizes)
    found = passed(maps, mixed=True)
    plain = passed(maps)
    exact = passed(maps, torch.float64)
    assert {t.dtype for t in found} == {torch.float32}
    for i, (mixed, rounded, true) in enumerate(zip(found, plain, exact, strict=True)):
        assert mixed.shape == true.shape
        assert relative(rounded, true) < 1e-6
        error = relative(mixed, true)
        if kind == "ternary" and vnni and i < len(sizes):
            assert error < 1e-6  # the forward product is computed in integers
        else:
            assert 1e-4 < error < BF16  # it did run in bfloat16


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_product_stays_float32_to_the_bit(kind):
    maps = layers(kind, 32, 16)
    for mixed, plain in zip(passed(maps, mixed=True), passed(maps), strict=True):
        assert torch.equal(mixed, plain)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_model_in_mixed_precision_has_gradients_within_five_percent(kind, at_any_size):
    torch.manual_seed(0)
    model = Transformer(ModelConfig(50, 32, 2, weights=kind), 12)
    ids = torch.randint(0, 50, (3, 13))

    def gradients(mixed: bool) -> dict[str, torch.Tensor]:
        model.zero_grad()
        with mixed_products(CPU, mixed):
            logits = model(ids[:, :-1]).flatten(0, 1)
        F.cross_entropy(logits, ids[:, 1:].flatten()).backward()
        return {name: p.grad.clone() for name, p in model.named_parameters()}

    exact, mixed = gradients(False), gradients(True)
    for name, gradient in exact.items():
        assert 0 < relative(mixed[name], gradient.double()) < 0.05, name


def test_mixed_precision_ends_with_its_context_whatever_ends_it(at_any_size):
    x, weights = torch.zeros(2, 4), [torch.zeros(3, 4)]
    with pytest.raises(KeyError), mixed_products(CPU):
        with mixed_products(CPU, enabled=False):
            assert products.mixed_types(x, weights) is None
        assert products.mixed_types(x, weights) == (torch.bfloat16, torch.float32)
        assert products.mixed_types(x.double(), weights) is None
        raise KeyError
    assert products.mixed_types(x, weights) is None


# --- float32 ---


@pytest.mark.parametrize(
    ("cpu", "faster"),
    [
        ("vendor_id : AuthenticAMD\ncpu family : 26\n\nprocessor: 1", True),  # Zen 5
        ("vendor_id : AuthenticAMD\ncpu family : 25", False),  # Zen 4
        ("vendor_id : GenuineIntel\ncpu family : 26", False),
        ("CPU implementer : 0x41", False),
        (None, False),
    ],
)
def test_onednn_is_for_amds_cpus_from_zen_5_on(cpu, faster, monkeypatch, tmp_path):
    if cpu:
        (tmp_path / "cpuinfo").write_text(cpu)
    monkeypatch.setattr(products, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(products, "rounding_by_onednn", lambda: 3e-7)
    assert products.onednn_is_faster.__wrapped__() is faster
    # On a CPU that would round to bfloat16 the answer is no, whoever made it.
    monkeypatch.setattr(products, "rounding_by_onednn", lambda: 2e-3)
    assert products.onednn_is_faster.__wrapped__() is False


def test_the_error_of_onednns_product_is_measured():
    error = products.rounding_by_onednn()
    assert 1e-8 < error < products.ROUNDING or 1e-4 < error < BF16


def test_large_products_take_onednn_and_leave_the_setting_as_it_was(monkeypatch):
    setting = torch.backends.mkldnn.matmul
    before = setting.fp32_precision
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    with pytest.raises(KeyError), fastest_float32(products.ONEDNN_FROM):
        assert setting.fp32_precision == "bf16"
        raise KeyError
    assert setting.fp32_precision == before
    with fastest_float32(products.ONEDNN_FROM - 1):
        assert setting.fp32_precision == before
