"""Ledger of the original reports' claims, each with the criterion that decides it.

The first three entries are controls with a known answer. If one comes out wrong, do not trust the
other rows; nothing enforces this.

A claim is decided on one study at a time: supported, refuted or inconclusive there, or not tested
if the study lacks the runs. With fewer than `no_verdict_under` seeds it is inconclusive. Over
several studies the outcome is the one that all deciding studies share, else inconclusive. A claim
that something exists is supported by one study that shows it; one that does not is no refutation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from bitnet.claims import ends, stage_1
from bitnet.claims.evidence import Evidence, Found
from bitnet.common.markdown import bullets, table

OUTCOMES = ("supported", "refuted", "inconclusive", "not shown here", "not tested")


@dataclass(frozen=True)
class Claim:
    """A sentence of the reports, their confidence in it, and the criterion that decides it."""

    text: str
    confidence: str
    test: str
    decide: Callable[[Evidence], Found | None]
    exists: bool = False
    """Whether it says that something exists: no study can refute it."""


def ledger(studies: Mapping[str, Evidence]) -> pd.DataFrame:
    """Table with one row per claim and study that tests it, or one row "not tested".

    Outcome is the claim's over all studies, There the outcome in the row's Study, Figure its
    evidence in words.
    """
    rows = []
    for claim in CLAIMS:
        tested = decide(claim, studies)
        overall = agreed([outcome for outcome, _ in tested.values()], claim.exists)
        head = {"Claim": claim.text, "Confidence": claim.confidence, "Test": claim.test}
        for name, (outcome, figure) in tested.items() or [("", ("not tested", ""))]:
            there = {"Study": name, "There": outcome, "Figure": figure}
            rows.append({**head, "Outcome": overall, **there})
    return pd.DataFrame(rows)


def decide(claim: Claim, studies: Mapping[str, Evidence]) -> dict[str, tuple[str, str]]:
    """Outcome and evidence in words of a claim, by name of the studies that test it."""
    found = {name: _outcome(claim, study) for name, study in studies.items()}
    return {name: result for name, result in found.items() if result is not None}


def _outcome(claim: Claim, study: Evidence) -> tuple[str, str] | None:
    found = claim.decide(study)
    if found is None:
        return None
    holds, figure, seeds = found
    figure = f"{figure} ({seeds} seed{'' if seeds == 1 else 's'})"
    if holds is None or seeds < study.thresholds.no_verdict_under:
        return "inconclusive", figure
    if holds:
        return "supported", figure
    return "not shown here" if claim.exists else "refuted", figure


def agreed(outcomes: Sequence[str], exists: bool = False) -> str:
    """Common outcome of several studies: "inconclusive" unless those that decide agree.

    exists: for a claim of existence, which the study that shows it decides.
    """
    if exists and "supported" in outcomes:
        return "supported"
    decided = set(outcomes) - {"inconclusive"}
    if not outcomes:
        return "not tested"
    return decided.pop() if len(decided) == 1 else "inconclusive"


def markdown(claims: pd.DataFrame, files: Mapping[str, str]) -> str:
    """The ledger as Markdown: a table of claims, then the evidence for each.

    claims: the table of `ledger`. files: by name of a study, the file that the text refers to.
    """
    short = claims.drop_duplicates("Claim")
    lines = [
        [str(i), row.Claim, row.Confidence, row.Outcome]
        for i, row in enumerate(short.itertuples(), 1)
    ]
    blocks = [
        "# Claims of the original reports",
        table(["", "claim", "confidence there", "outcome here"], lines),
        "## What decided each",
    ]
    for i, claim in enumerate(short.itertuples(), 1):
        found = claims[claims["Claim"] == claim.Claim]
        said = [
            f"{row.Study}: {row.There}. {row.Figure}. See {files[row.Study]}."
            for row in found.itertuples()
            if row.Study
        ]
        lines = [f"{claim.Claim}. Test: {claim.Test}.", *(said or ["Not tested by these studies."])]
        blocks.append(f"### {i}. {claim.Outcome}\n\n" + bullets(lines))
    return "\n\n".join(blocks) + "\n"


CLAIMS = (
    Claim(
        "Control: text without order is called collapsed",
        "known",
        "most runs on shuffled text end collapsed even with the treatment",
        ends.control("Treatment", True, Variant="shuffled"),
    ),
    Claim(
        "Control: decay that forgets the learning rate is called collapsed",
        "known",
        "most runs with adamw-unscaled end collapsed in the control arm",
        ends.control("Control", True, Optimizer="adamw-unscaled"),
    ),
    Claim(
        "Control: AdamW without weight decay is not called collapsed",
        "known",
        "most runs with adamw, Stage-1 and Stage-2 WD 0, end in another state",
        ends.control("Treatment", False, Optimizer="adamw", Stage1WD=0.0),
    ),
    Claim(
        "Collapse happens inside stage 1, not at the switch",
        "99 %",
        "most trunks of the headline cell are collapsed at the switch",
        stage_1.collapse_in_stage_1,
    ),
    Claim(
        "Loss falls while diversity collapses (10.99 to 10.25, 20 to 2)",
        "not stated",
        "in most trunks ValLoss and distinct predictions are lower at the switch than at step 0",
        stage_1.loss_falls_meanwhile,
    ),
    Claim(
        "A reduced learning rate (5e-4) recovers",
        "not stated",
        "with it most trunks are diverse or recovering at the switch, where the others collapsed",
        stage_1.reduced_rate_recovers,
    ),
    Claim(
        "Label smoothing does not help",
        "not stated",
        "counts at the switch, paired by seed, are with it equivalent or lower",
        stage_1.does_not_help("smooth"),
    ),
    Claim(
        "Aggressive clipping (0.1) makes it worse",
        "not stated",
        "at the switch, paired by seed, counts are lower or validation loss is higher with it",
        stage_1.makes_it_worse("clip"),
    ),
    Claim(
        "Only the learning rate matters",
        "95 %",
        "of all single changes to the headline cell, only the rate's keeps trunks from collapse",
        stage_1.only_the_rate_matters,
    ),
    Claim(
        "Stage-2 weight decay 0 instead of 0.05 fixes it",
        "not stated",
        "outcome of the headline cell is fixed; what merely helps leaves it open",
        ends.decay_fixes,
    ),
    Claim(
        "The fix holds at every size (256 and 512 there)",
        "not stated",
        "outcome of the headline cell at every size of the study",
        ends.at_every_size,
    ),
    Claim(
        "Larger models avoid it",
        "70 %",
        "scaling outcome of the headline cell's control arm: A",
        ends.larger_models_avoid_it,
    ),
    Claim(
        "The model can be diverse",
        "95 %",
        "some kind of ternary run ends diverse in most seeds",
        ends.can_be_diverse,
        exists=True,
    ),
    Claim(
        "Loss is not the issue",
        "90 %",
        "collapsed control runs have the validation loss of the diverse treated ones",
        ends.loss_is_not_the_issue,
    ),
    Claim(
        "Something is fixable",
        "85 %",
        "some kind of ternary run whose trunk collapsed ends diverse in most seeds",
        ends.something_is_fixable,
        exists=True,
    ),
    Claim(
        "Optimisation dynamics, not architecture",
        "likely",
        "the full-precision twin collapses as well, and ternary weights under AdamW do not",
        ends.dynamics_not_architecture,
    ),
    Claim(
        "Larger models need a less aggressive learning rate",
        "likely",
        "the highest rate whose trunks do not collapse is lower for the largest size; of a tie at "
        "an end of those tried nothing follows",
        stage_1.larger_models_need_lower_rates,
    ),
    Claim(
        "Counts fall from 20 to 2 by the switch",
        "printed",
        "of 20 random contexts of 8 ids: over 15 distinct predictions at step 0, under 4 then",
        stage_1.counts_fall_from_20_to_2,
    ),
    Claim(
        "The loss stays between 10.99 and 10.25",
        "printed",
        "training loss at the switch within a tenth of ln V, at a vocabulary of 30,000 or more",
        stage_1.loss_stays_near_ln_v,
    ),
)
