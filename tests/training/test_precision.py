"""Which precision a training has on which device."""

import pytest
import torch

from bitnet.training.precision import has_bfloat16, resolved

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("stated", ["float32", "mixed"])
@pytest.mark.parametrize("device", [CPU, GPU])
def test_a_stated_precision_is_the_one_that_runs(stated, device):
    assert resolved(stated, device) == stated


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((7, 0), "float32"), ((7, 5), "float32"), ((8, 0), "mixed"), ((12, 0), "mixed")],
)
def test_auto_is_mixed_on_gpus_that_compute_in_bfloat16(capability, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolved("auto", GPU) == precision


@pytest.mark.parametrize(
    ("features", "fast"),
    [
        ({}, False),
        ({"vnni"}, False),
        ({"avx512_bf16"}, False),
        ({"avx512_bf16", "vnni"}, True),
        ({"amx_tile", "vnni"}, True),
    ],
)
def test_mixed_is_fast_on_cpus_with_bfloat16_and_int8_and_auto_is_float32(
    features, fast, monkeypatch
):
    for name in ("avx512_bf16", "amx_tile", "vnni"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda n=name: n in features)
    assert has_bfloat16(CPU) is fast
    assert resolved("auto", CPU) == "float32"
