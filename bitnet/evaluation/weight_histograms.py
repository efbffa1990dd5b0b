"""Histograms of a model's latent weights w / mean|w|, and the shares of their ternary codes.

Computed from saved arrays, without torch. The rounding is that of `bitnet.model.quantization`
(Ma et al. 2024, section 2).
"""

from collections.abc import Mapping

import numpy as np

EDGES = np.round(np.linspace(-4, 4, 81), 1)  # edges of the bins of w / mean|w|
PARTS = {"attention": "self_attn", "feed_forward": "mlp"}  # parts of a layer: word in array names


def latent_weights(arrays: Mapping[str, np.ndarray]) -> dict[str, dict]:
    """For each of PARTS: `histogram` (80 counts), `ternary` (shares of -1, 0, 1) and `count`.

    arrays: weights as training saves them. Values beyond the outer edges count in the outer bins.
    For a full-precision model the shares are those that its weights would be rounded to.
    ValueError in one line for arrays without a matrix of a part.
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
