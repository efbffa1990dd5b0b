"""Share of a device's arithmetic that a training uses (MFU), by arithmetic. Free of torch."""

from bitnet.config import Recipe
from bitnet.plan import flops_per_token

# Dense bf16 operations a second with float32 sums, from NVIDIA's data sheets; of consumer cards 512
# a clock and multiprocessor (GA102 and AD102 white papers). The first name that fits counts.
PEAKS = (
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("H200", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("RTX 4090", 165e12),
    ("RTX 3090", 71e12),
    ("RTX 3060", 25e12),
)


def utilisation(recipe: Recipe, rate: float, device: str, processes: int = 1) -> float | None:
    """MFU at `rate` tokens a second on so many devices of a name; None where no peak is known.

    Operations of forward and backward count once, whatever is computed again (Chowdhery et al.
    2022, PaLM, appendix B).
    """
    for name, peak in PEAKS:
        if name in device and "Laptop" not in device:
            return rate * flops_per_token(recipe) / (peak * processes)
    return None
