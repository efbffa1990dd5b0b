"""Thresholds of states, verdict and anomalies: blocks of config.yaml, fixed before the runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of a run's state and of the verdict, fixed before the runs."""

    collapsed_below: float = 10
    """Distinct predictions at the probe under which a run is collapsed."""
    diverse_above: float = 50
    """Distinct predictions at the probe above which a run is diverse."""
    unigram_margin: float = 0.02
    """Nats by which ValLoss must be below the unigram's, or the run is collapsed in any case."""
    copy_share: float = 0.5
    """Share of predictions equal to their input token, above which a run may be untrained."""
    final_evaluations: int = 3
    """Number of last evaluations of a stage that are averaged into the value 'at the end'."""
    blind_collapsed_share: float = 0.1
    """On blind corpora: PDR as a share of the trigram's under which a run is collapsed."""
    blind_diverse_share: float = 0.5
    """On blind corpora: PDR as a share of the trigram's above which a run is diverse."""
    equivalence_ratio: float = 1.25
    """Ratio of distinct predictions (or PDR) between arms that still counts as equal."""
    equivalence_loss: float = 0.02
    """Difference of ValLoss between arms, in nats, that still counts as equal."""
    confidence: float = 0.95
    """Confidence level of intervals; the level of tests is one minus it."""
    few_seeds: int = 5
    """Seeds under which an outcome is marked 'few seeds'."""
    no_verdict_under: int = 3
    """Seeds under which there is no verdict."""


@dataclass(frozen=True)
class Limits:
    """Limits beyond which a value is an anomaly; 0 switches a `below` rule off."""

    loss_spike_above: float = 2
    """Nats by which a step's loss exceeds the mean of the last hundred steps, itself included."""
    entropy_below: float = 1
    """Mean entropy, in nats, of the distributions predicted at the probe."""
    repetition_above: float = 0.5
    """Mean share of 4-token phrases in sampled texts that occurred earlier in the same text."""
    dead_layer_below: float = 1e-3
    """Root mean square of what a layer adds to the residual stream, over that of its input."""
