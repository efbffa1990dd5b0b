"""Scenarios that error rates are counted in: what is true, and what a verdict may say of it.

Counts, and losses above the unigram's, are of the size that measured runs have; they are what their
names say under the thresholds of config.yaml. A cell's trunk, control and treatment are each a
count, a list of one for each evaluation, or (counts, loss): see `generator.path`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bitnet.verdict.error_rates.generator import Truth, path

NOTHING, SOMETHING = "Nothing differs", "Something differs"
EFFECT, COLLAPSE = "Is the effect ternary's?", "Is the collapse ternary's?"
CELLS = [(opt, weights) for opt in ("adam", "adamw") for weights in ("ternary", "full_precision")]


@dataclass(frozen=True)
class Scenario:
    """Cells that are drawn and judged together as a study, and the right answer."""

    group: str
    """The question: NOTHING and SOMETHING ask for outcomes, EFFECT and COLLAPSE for theirs."""
    name: str
    right: str
    cells: Mapping[tuple[str, str], Truth]
    """By optimizer and weights; the first is the headline's."""
    also: str = ""
    """Another answer that is true."""


def _of(group: str, name: str, right: str, *cells: tuple, also: str = "", **more) -> Scenario:
    paths = [[path(*p) if isinstance(p, tuple) else path(p) for p in cell] for cell in cells]
    truths = [Truth(*segments, **more) for segments in paths]
    return Scenario(group, name, right, dict(zip(CELLS, truths, strict=False)), also)


DEAD = (1840, 1.5)  # counts of rounding noise at a loss of ln V
EARLY, LATE = [90, 70, 5, 4, 4], [80, 90, 40, 5, 4]
LOW, THIRTY, HEALTHY, FIX = (4, 4, 4), (4, 30, 30), (380, 380, 380), (4, 4, 100)
STAY, BOTH, AWHILE = "stays collapsed", "recovers either way", "temporary recovery"

SCENARIOS = (
    _of(NOTHING, "both stay at 4", STAY, LOW),
    _of(NOTHING, "both at 4, spread doubled", STAY, LOW, width=2),
    _of(NOTHING, "both at 4, the same, heavy tails", STAY, LOW, width=2, heavy=True),
    _of(NOTHING, "both at 6, loss 0.05 under the unigram's", STAY, ((6, -0.05),) * 3),
    _of(NOTHING, "3 and 8, inside the collapse", STAY, (4, 3, (8, 0.0))),
    _of(NOTHING, "both dead", STAY, (DEAD,) * 3),
    _of(NOTHING, "treatment dead, control at 4", STAY, (4, 4, DEAD)),
    _of(NOTHING, "both healthy at 380", "no effect (nothing to fix)", HEALTHY),
    _of(NOTHING, "both recover to 30", "no effect", THIRTY),
    _of(NOTHING, "both to 30, spread doubled", "no effect", THIRTY, width=2),
    _of(NOTHING, "both to 30, the same, heavy tails", "no effect", THIRTY, width=2, heavy=True),
    _of(NOTHING, "both end near 50", "no effect", (4, 50, 50), also=BOTH),
    _of(NOTHING, "both recover to 100", BOTH, (4, 100, 100), also="no effect"),
    _of(NOTHING, "both recover for a while", AWHILE, (4, EARLY, EARLY)),
    _of(NOTHING, "both to 30, 1 in 5 runs diverge", "no effect", THIRTY, diverging=(0.2, 0.2)),
    _of(NOTHING, "both to 30, 4 in 5 runs diverge", "no verdict", THIRTY, diverging=(0.8, 0.8)),
    _of(NOTHING, "four cells, each to 30 in both arms", "no effect", *[THIRTY] * 4),
    _of(SOMETHING, "fix, 4 and 100", "fixed", FIX, also="helps"),
    _of(SOMETHING, "fix, 4 and 60", "fixed", (4, 4, 60), also="helps"),
    _of(SOMETHING, "fix, 1 in 5 treated diverge", "fixed", FIX, also="helps", diverging=(0, 0.2)),
    _of(SOMETHING, "less than a fix, 4 and 30", "helps", (4, 4, 30)),
    _of(SOMETHING, "45.6 and 54.8, ratio 1.2", "no effect", (4, (45.6, -1), (54.8, -1)), also=BOTH),
    _of(SOMETHING, "control dead, treatment at 32", "helps", (4, DEAD, 32)),
    _of(SOMETHING, "control dead, treatment at 100", "fixed", (4, DEAD, 100), also="helps"),
    _of(SOMETHING, "recovery for a while, seen early", AWHILE, (4, 4, EARLY)),
    _of(SOMETHING, "recovery for a while, seen late", AWHILE, (4, 4, LATE)),
    _of(SOMETHING, "harm, 380 and 100", "harmful", (380, 380, 100)),
    _of(SOMETHING, "harm, 380 and 4", "harmful", (380, 380, 4)),
    _of(SOMETHING, "400 and 300, loss 0.4 lower", "trade-off", (400, (400, -2), (300, -2.4))),
    _of(SOMETHING, "30 and 60, loss 0.3 higher", "trade-off", (4, (30, -0.7), (60, -0.4))),
    _of(SOMETHING, "both 380, loss 0.1 lower", "lower loss", (380, (380, -2), (380, -2.1))),
    _of(SOMETHING, "both 380, loss 0.1 higher", "higher loss", (380, (380, -2), (380, -1.9))),
    _of(SOMETHING, "4 in 5 treated diverge", "diverges", FIX, diverging=(0, 0.8)),
    _of(SOMETHING, "4 in 5 controls diverge", "control diverges", FIX, diverging=(0.8, 0)),
    _of(EFFECT, "twin has the same fix", "no", FIX, FIX),
    _of(EFFECT, "twin's is larger, 4 and 200", "no", FIX, (4, 4, 200)),
    _of(EFFECT, "the same fix, ternary control dead", "no", (4, DEAD, 100), FIX),
    _of(EFFECT, "twin has half of it, 4 and 31.6", "undecided", FIX, (4, 4, 31.6)),
    _of(EFFECT, "twin stays at 4", "yes", FIX, LOW),
    _of(EFFECT, "twin never collapses", "yes", FIX, HEALTHY),
    _of(EFFECT, "no effect in either", "none shown", THIRTY, THIRTY),
    _of(COLLAPSE, "twin collapses too", "no", FIX, FIX),
    _of(COLLAPSE, "twin never collapses", "yes", FIX, HEALTHY),
    _of(COLLAPSE, "neither collapses", "no collapse", HEALTHY, HEALTHY),
)
