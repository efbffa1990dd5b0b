"""Histograms of latent weights, and the ternary value that each bin rounds to.

Read from saved arrays, free of torch: relative weights w / mean|w| of each matrix, counted in bins.
Source of the rounding: `bitnet.model.quantization`, Ma et al. 2024, section 2.
"""

from collections.abc import Mapping

import numpy as np

EDGES = np.round(np.linspace(-4, 4, 81), 1)  # of the bins of w / mean|w|
PARTS = {"attention": "self_attn", "feed_forward": "mlp"}  # of a layer, and how arrays name them


def latent_weights(arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """For each of PARTS: `histogram` (80,) counts and `ternary`, the shares of -1, 0 and 1.

    arrays: weights as training saves them. What lies beyond the outer edges is in the last bins. A
    full-precision twin's shares are what its weights would be rounded to. ValueError for arrays
    that hold no layer.
    """
    found = {}
    for part, word in PARTS.items():
        matrices = [a for name, a in arrays.items() if f".{word}." in name and a.ndim == 2]
        if not matrices:
            raise ValueError(f"weights hold no {part} matrix; allowed: those of a trained model")
        relative = [w / max(float(np.abs(w).mean(dtype=np.float64)), 1e-5) for w in matrices]
        flat = np.concatenate([r.ravel() for r in relative])
        counts, _ = np.histogram(np.clip(flat, EDGES[0], EDGES[-1]), EDGES)
        codes = np.clip(np.rint(flat), -1, 1)
        shares = [float((codes == value).mean()) for value in (-1, 0, 1)]
        found[part] = {"histogram": counts.tolist(), "ternary": shares, "count": len(flat)}
    return found
