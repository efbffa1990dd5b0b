"""Metrics of a run's CSV, computed from the raw observations that training recorded at the probe.

Every metric is a function of recorded observations, so changing one never retrains anything. Counts
depend on N, the number of probe positions: the same healthy model has 9 to 14 distinct predictions
at 20 positions and hundreds at 4,096. N and the data's hash are therefore columns of every file.

    rows = evaluate(observations, manifest, constants)
    rows.to_csv(path, index=False)
    rows = pd.read_csv(path, dtype=CSV_TYPES)
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import entr

MEASURED = (
    "Step",
    "Loss",
    "UniquePredictions",
    "LR",
    "WD",
    "UniqueTargets",
    "ValLoss",
    "BitsPerByte",
    "PDR",
    "Top1Share",
    "CopyShare",
    "MutualInformation",
    "Unique20",
    "FlipRate",
    "ZeroShare",
    "AbsMean",
    "GradNorm",
    "WeightNorm",
    "EmbedNorm",
    "HeadNorm",
    "Gain",
    "LinearGradNorm",
    "EmbedGradNorm",
    "GainGradNorm",
    "EffectiveLR",
    "NearThreshold",
    "HiddenCosine",
)
CONSTANT = (
    "Optimizer",
    "Weights",
    "Seed",
    "HiddenSize",
    "Stage2WD",
    "PeakLR",
    "Stage1WD",
    "Variant",
    "SwitchStep",
    "N",
    "VocabSize",
    "DataHash",
    "UnigramLoss",
    "BigramLoss",
    "TrigramLoss",
    "BigramUniquePredictions",
    "TrigramUniquePredictions",
    "TrigramPDR",
    "Blind",
)
COLUMNS = MEASURED + CONSTANT

# Twelve hex digits may look like an integer or like 1e5: read the hash as text.
AGREE = ["N", "VocabSize", "DataHash", "Blind"]  # what every row of a study must share
CSV_TYPES = {"DataHash": str, "Variant": str}

HASH_DIGITS = 12

# Columns that are recorded as they are.
RECORDED = {
    "Step": "step",
    "Loss": "loss",
    "LR": "lr",
    "WD": "wd",
    "FlipRate": "flip_rate",
    "ZeroShare": "zero_share",
    "AbsMean": "abs_mean",
    "GradNorm": "grad_norm",
    "WeightNorm": "weight_norm",
    "EmbedNorm": "embed_norm",
    "HeadNorm": "head_norm",
    "Gain": "gain",
    "LinearGradNorm": "linear_grad_norm",
    "EmbedGradNorm": "embed_grad_norm",
    "GainGradNorm": "gain_grad_norm",
    "NearThreshold": "near_threshold",
    "HiddenCosine": "hidden_cosine",
}


def diversity(ids: np.ndarray) -> float:
    """exp(entropy) of the histogram of ids (N,): the number of equally common ids as diverse."""
    counts = np.unique(ids, return_counts=True)[1]
    return float(np.exp(entr(counts / counts.sum()).sum()))


def diversity_ratio(predictions: np.ndarray, targets: np.ndarray) -> float:
    """PDR: diversity of predictions (N,) over that of the true next tokens (N,); 1 = as diverse."""
    return diversity(predictions) / diversity(targets)


def top_share(ids: np.ndarray) -> float:
    """Share of the commonest id among ids (N,), from 1/N to 1."""
    return float(np.unique(ids, return_counts=True)[1].max() / len(ids))


def evaluate(
    observations: Mapping[str, np.ndarray], manifest: Mapping, constants: Mapping
) -> pd.DataFrame:
    """Table of one run: one row per evaluation, the columns of `COLUMNS`.

    observations, for E evaluations at N probe positions:
        inputs, targets (N,) ids; prediction (E, N) argmax ids; nll (E, N) and entropy (E, N) of
        each predicted distribution, nats; mean_entropy (E,) entropy of the mean predicted
        distribution, nats; legacy_prediction (E, 20) argmax ids after 20 random contexts of 8
        ids, the original script's whole sample; and what RECORDED names, (E,) each: loss in nats
        as it was minimised, norms of gradients before clipping (NaN at step 0).
    manifest: vocab_size, sha256, probe {positions, bytes}, references {unigram, bigram, trigram:
        {loss, unique_predictions, pdr}}, blind.
    constants: optimizer, weights, seed, hidden_size, stage2_weight_decay (None for a trunk),
        peak_lr, stage1_weight_decay, variant (the other differences from the study's protocol),
        switch_step.

    A diverged model has NaN in ValLoss, BitsPerByte and MutualInformation; counts of argmax ids
    stay counts. ValueError in one line for a wrong shape, and for ids outside the vocabulary.
    """
    seen = {name: np.asarray(values) for name, values in observations.items()}
    _check(seen, manifest)
    inputs, targets, prediction = seen["inputs"], seen["targets"], seen["prediction"]
    nll = seen["nll"].astype(np.float64)  # a float32 sum of 4,096 terms loses digits
    uncertainty = seen["entropy"].astype(np.float64).mean(axis=1)
    values = {column: seen[name] for column, name in RECORDED.items()} | {
        "UniquePredictions": [len(np.unique(ids)) for ids in prediction],
        "UniqueTargets": len(np.unique(targets)),
        "ValLoss": nll.mean(axis=1),
        "BitsPerByte": nll.sum(axis=1) / np.log(2) / manifest["probe"]["bytes"],
        "PDR": [diversity_ratio(ids, targets) for ids in prediction],
        "Top1Share": [top_share(ids) for ids in prediction],
        "CopyShare": (prediction == inputs).mean(axis=1),
        "MutualInformation": seen["mean_entropy"].astype(np.float64) - uncertainty,
        "Unique20": [len(np.unique(ids)) for ids in seen["legacy_prediction"]],
        # An Adam step moves a weight by about LR; this is in units of the mean |weight|.
        "EffectiveLR": seen["lr"] / seen["abs_mean"],
    }
    values |= _constant_columns(manifest, constants)
    return pd.DataFrame(values, columns=list(COLUMNS))


def _constant_columns(manifest: Mapping, constants: Mapping) -> dict:
    unigram, bigram, trigram = (
        manifest["references"][name] for name in ("unigram", "bigram", "trigram")
    )
    decay = constants["stage2_weight_decay"]
    return {
        "Optimizer": constants["optimizer"],
        "Weights": constants["weights"],
        "Seed": constants["seed"],
        "HiddenSize": constants["hidden_size"],
        "Stage2WD": np.nan if decay is None else float(decay),
        "PeakLR": constants["peak_lr"],
        "Stage1WD": float(constants["stage1_weight_decay"]),
        "Variant": constants["variant"],
        "SwitchStep": constants["switch_step"],
        "N": manifest["probe"]["positions"],
        "VocabSize": manifest["vocab_size"],
        "DataHash": manifest["sha256"][:HASH_DIGITS],
        "UnigramLoss": unigram["loss"],
        "BigramLoss": bigram["loss"],
        "TrigramLoss": trigram["loss"],
        "BigramUniquePredictions": bigram["unique_predictions"],
        "TrigramUniquePredictions": trigram["unique_predictions"],
        "TrigramPDR": trigram["pdr"],
        "Blind": bool(manifest["blind"]),
    }


def _check(seen: Mapping[str, np.ndarray], manifest: Mapping) -> None:
    """Refuse observations that do not fit each other or the manifest."""
    evaluations, positions = len(seen["step"]), manifest["probe"]["positions"]
    shapes = dict.fromkeys(("inputs", "targets"), (positions,))
    shapes |= dict.fromkeys(("prediction", "nll", "entropy"), (evaluations, positions))
    shapes |= dict.fromkeys((*RECORDED.values(), "mean_entropy"), (evaluations,))
    shapes["legacy_prediction"] = (evaluations, *seen["legacy_prediction"].shape[1:])
    for name, shape in shapes.items():
        if seen[name].shape != shape:
            raise ValueError(f"observation {name} has shape {seen[name].shape}, not {shape}")
    for name in ("inputs", "targets", "prediction", "legacy_prediction"):
        ids = seen[name]
        if ids.size and not 0 <= ids.min() <= ids.max() < manifest["vocab_size"]:
            raise ValueError(
                f"observation {name} holds ids {ids.min()} to {ids.max()}, "
                f"allowed are 0 to {manifest['vocab_size'] - 1} (vocab_size)"
            )


def check_one_study(rows: pd.DataFrame) -> None:
    """ValueError in one line where rows are no table of one study's runs."""
    if missing := [column for column in COLUMNS if column not in rows]:
        raise ValueError(f"results lack the columns {', '.join(missing)}")
    if rows.empty:
        raise ValueError("results hold no rows")
    for column in AGREE:
        if len(values := sorted(rows[column].map(str).unique())) > 1:
            raise ValueError(f"results disagree in {column}: {', '.join(values)}")
