"""Ternary weights four to a byte, as transformers' BitLinear unpacks them."""

import numpy as np

from bitnet.export_weights import Ternary


def pack(codes: np.ndarray) -> np.ndarray:
    """Codes (out, in) of -1, 0, 1 as uint8 (out / 4, in).

    The rows lie in four contiguous quarters; the quarter i stands in bits 2i and 2i + 1, each code
    one higher than it is. Source: transformers, integrations/bitnet.py, `unpack_weights`.
    """
    quarters = (codes + 1).astype(np.uint8).reshape(4, -1, codes.shape[1])
    return quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6


def packed_tensors(name: str, matrix: Ternary) -> dict[str, np.ndarray]:
    """A ternary matrix as the two tensors of a BitLinear; it divides by `weight_scale`."""
    scale = np.asarray([1 / np.float64(matrix.scale)], dtype=np.float32)
    return {name: pack(matrix.codes), f"{name}_scale": scale}
