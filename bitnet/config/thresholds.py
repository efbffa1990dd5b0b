"""Thresholds of the verdict and limits of the anomaly rules: blocks of config.yaml."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of states and verdict, fixed before the runs."""

    collapsed_below: float = 10
    """Distinct predictions at the probe under which a run is collapsed."""
    diverse_above: float = 50
    """Distinct predictions at the probe above which a run is diverse."""
    unigram_margin: float = 0.02
    """Nats by which ValLoss must beat the unigram, or the run is collapsed whatever it counts."""
    copy_share: float = 0.5
    """Share of predictions that repeat the input above which a run may be untrained."""
    final_evaluations: int = 3
    """Evaluations averaged into the value 'at the end'."""
    blind_collapsed_share: float = 0.1
    """On blind corpora: PDR as a share of the trigram's under which a run is collapsed."""
    blind_diverse_share: float = 0.5
    """On blind corpora: PDR as a share of the trigram's above which a run is diverse."""
    equivalence_ratio: float = 1.25
    """Ratio of distinct predictions (or PDR) between arms that still counts as equal."""
    equivalence_loss: float = 0.02
    """Difference of ValLoss between arms that still counts as equal, nats."""
    confidence: float = 0.95
    """Level of intervals; tests have the level one minus it."""
    few_seeds: int = 5
    """Seeds under which an outcome is marked 'few seeds'."""
    no_verdict_under: int = 3
    """Seeds under which there is no verdict."""


@dataclass(frozen=True)
class Limits:
    """From where on something is an anomaly; a 0 switches a rule of `below` off."""

    loss_spike_above: float = 2
    """Nats that a step's loss stood above the mean of the hundred steps that it ends."""
    entropy_below: float = 1
    """Mean entropy, in nats, of the distributions that are predicted at the probe."""
    repetition_above: float = 0.5
    """Mean share of 4-token phrases in drawn texts that repeat one before them."""
    dead_layer_below: float = 1e-3
    """What a layer adds to the residual stream over what it was given."""
