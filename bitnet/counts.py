"""How many different tokens: the count that runs are judged by, also shown while they train.

Apart from `bitnet.metrics`, so that a change of another metric trains nothing again.
"""

import numpy as np


def unique(ids: np.ndarray) -> int:
    """Number of distinct token ids."""
    return len(np.unique(ids))
