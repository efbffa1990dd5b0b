"""Anomaly rules for a training: not finite, loss spike, low entropy, dead layer, repetition.

They use the recorded observations, so the same rules apply during a training and to its results.
The limits are in config.yaml. Free of torch.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from bitnet.config.thresholds import Limits
from bitnet.evaluation.text_quality import seq_rep

REPEATED = 4  # tokens of a phrase whose repetition in a text is counted
GREEDY, DRAWN = 0, 1  # indices of texts; the rules use only sampled ones: greedy text loops
SHOWN = 24  # predictions that are shown if no text was generated


def anomalies(seen: Mapping[str, np.ndarray], limits: Limits) -> list[dict]:
    """Anomalies in observations: dicts of `step`, `rule`, `saw` (in words) and `ids` (a sample).

    seen: arrays with one entry per evaluation, as training records them. Step 0, the untrained
    model, is left out.
    """
    found = []
    for row, step in enumerate(np.asarray(seen["step"]).tolist()):
        if step:
            for rule, saw in _of_row({key: seen[key][row] for key in READ & seen.keys()}, limits):
                found.append({"step": step, "rule": rule, "saw": saw, "ids": sample(seen, row)})
    return found


READ = {"nll", "grad_norm", "loss_spike", "entropy", "layer_share", "samples"}


def _of_row(row: Mapping[str, np.ndarray], limits: Limits) -> Iterator[tuple[str, str]]:
    if not np.isfinite(row["nll"]).all() or not np.isfinite(row["grad_norm"]):
        yield "not finite", "loss or gradient is NaN or infinite"
        return
    spike = float(row["loss_spike"])
    if spike > limits.loss_spike_above:
        yield "loss spike", f"a step's loss {spike:.2f} nats above the mean of 100 steps"
    entropy = float(row["entropy"].mean(dtype=float))
    if entropy < limits.entropy_below:
        yield "low entropy", f"predictions of {entropy:.2f} nats on average"
    shares = row["layer_share"]
    for layer in np.flatnonzero(shares < limits.dead_layer_below):
        yield "dead layer", f"layer {layer} adds {shares[layer]:.1e} of what it is given"
    if "samples" in row:
        share = seq_rep(row["samples"][DRAWN].tolist(), REPEATED)
        if share > limits.repetition_above:
            yield "repetition", f"{share:.0%} of the phrases of {REPEATED} tokens repeat one"


def sample(seen: Mapping[str, np.ndarray], row: int) -> list[int]:
    """Token ids of a sampled text at evaluation `row`, else of the first predictions."""
    if "samples" in seen:
        return seen["samples"][row][DRAWN][0].tolist()
    return seen["prediction"][row][:SHOWN].tolist()
