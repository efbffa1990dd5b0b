"""Rule 2 against a second implementation of its words, on studies of every kind, and properties."""

import math
from collections import Counter

import numpy as np
import pandas as pd

from tests.helpers.rule2 import judged
from tests.helpers.tables import run, verdict

UNIGRAM = 6.0
HEADLINE = (256, "adam", "ternary")
KEYS = [
    HEADLINE,
    (256, "adam", "full_precision"),
    (256, "adamw", "ternary"),
    (256, "adamw", "full_precision"),
    (512, "adam", "ternary"),
]
# Counts and losses of an evaluation: how a run may go on from one to the next.
LEVELS = {
    "stuck": (5, 6.2),
    "barely": (12, 5.9),
    "recovering": (30, 5.0),
    "diverse": (90, 4.2),
    "rich": (300, 3.8),
    "dead": (1800, 7.6),
    "copies": (900, 6.1),
}
PATHS = [*LEVELS, "temporary", "late temporary", "diverged"]


def path(name, rng, spread):
    """Three evaluations of (count, PDR, loss, copy share)."""
    each = [name] * 3
    if "temporary" in name:
        each = ["diverse", "barely", "stuck"] if name == "temporary" else ["rich", "rich", "stuck"]
    found = []
    for level in each:
        count, loss = LEVELS.get(level, (90, math.nan))
        count = min(max(round(count * math.exp(rng.normal(0, spread))), 1), 2048)
        copying = 0.9 if level == "copies" else 0.1
        found.append((count, count / 700, loss + rng.normal(0, spread / 10), copying))
    return found


def drawn(rng) -> dict:
    """A study: each cell has its own usual path of trunk and arms, which some seeds leave."""
    study = {}
    spread, seeds = rng.choice([0.0, 0.02, 0.1, 0.4]), int(rng.integers(1, 7))
    kept = [key for key in KEYS if rng.random() < 0.8 or key == HEADLINE]
    for key in kept:
        usual = {arm: rng.choice(PATHS) for arm in ("trunk", "control", "treatment")}
        if rng.random() < 0.4:  # arms alike, but perhaps in loss
            usual["treatment"] = usual["control"]
        shift = rng.choice([0, 0, 0.3, -0.3])
        cell = {}
        for seed in range(seeds):
            for arm, name in usual.items():
                if rng.random() < 0.15:
                    name = rng.choice(PATHS)
                if arm == "trunk" and name == "diverged":
                    name = "stuck"  # its arms would have no evaluations of their own
                steps = path(name, rng, spread)
                if arm == "treatment":
                    steps = [(n, pdr, loss + shift, c) for n, pdr, loss, c in steps]
                cell[seed, arm] = steps
        study[key] = cell
    return study


CONSTANT = {k: v for k, v in run(0, 0.0, 5, 5).iloc[0].items() if k not in ("Loss", "UnigramLoss")}


def table(study, **columns) -> pd.DataFrame:
    """A study as its runs leave it, with an untrained model at step 0."""
    rows = []
    for place, cell in study.items():
        for seed in {seed for seed, _ in cell}:
            for arm, decay in (("control", 0.05), ("treatment", 0.0)):
                steps = [(2000, 2.0, 8.0, 1.0), *cell[seed, "trunk"], *cell[seed, arm]]
                rows += [(*place, seed, decay, 100 * i, *seen) for i, seen in enumerate(steps)]
    named = ["HiddenSize", "Optimizer", "Weights", "Seed", "Stage2WD", "Step"]
    named += ["UniquePredictions", "PDR", "ValLoss", "CopyShare"]
    found = pd.DataFrame(rows, columns=named)
    return found.assign(Loss=found["ValLoss"], UnigramLoss=UNIGRAM, **columns).assign(
        **{name: value for name, value in CONSTANT.items() if name not in {*named, *columns}}
    )


def said(study, **columns) -> dict:
    found = verdict(table(study, **columns))
    names = ["Outcome", "CollapseTernary", "EffectTernary"]
    keys = found[["HiddenSize", "Optimizer", "Weights"]].itertuples(index=False, name=None)
    return dict(zip(keys, found[names].itertuples(index=False, name=None), strict=True))


def test_rule_and_oracle_agree_on_studies_of_every_kind():
    rng = np.random.default_rng(20261128)
    seen = Counter()
    for _ in range(60):
        study = drawn(rng)
        expected = judged(study, HEADLINE, UNIGRAM)
        assert said(study) == expected
        seen.update(outcome for found in expected.values() for outcome in found)
    assert min(seen.values()) > 0 and len(seen) >= 20, seen  # nearly every answer was asked for


def test_rule_and_oracle_agree_on_blind_corpora():
    rng = np.random.default_rng(7)
    for _ in range(12):
        study = drawn(rng)
        assert said(study, Blind=True) == judged(study, HEADLINE, UNIGRAM, blind=0.8)
