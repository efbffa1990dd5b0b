"""Why it happened: what weights and gradients of the headline's models did, in sentences.

Each sentence stands beside a small chart and ends in the values measured.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bitnet.figures.mechanism import COUPLED, HEAD, QUANTITIES, Quantity
from bitnet.report.chart import Chart, Line
from bitnet.report.scale import written
from bitnet.report.series import BEFORE
from bitnet.report.study import Study

WHY = {
    "norm of the linear layers (1 = at step 0)": (
        "How large the weights are",
        "Weight decay takes a share of every weight at each step; learning has to make up for it. "
        "The length of all weights of the linear layers, beside that at the start.",
    ),
    "embedding: WD × norm / gradient norm": (
        "Decay beside learning",
        "Adam with coupled L2 adds decay to the gradient. At 1, decay is as long as what the text "
        "says. It can win well below 1, as a gradient is mostly noise that averages out.",
    ),
    "effective LR (LR / mean |weight|)": (
        "How large a step is beside a weight",
        "The learning rate divided by the mean size of a weight. A step of Adam is about as long "
        "as the learning rate, so at 1 a single step can replace a typical weight.",
    ),
    "ternary values changed (share in 100 steps)": (
        "How restless the ternary weights are",
        "Share of the ternary weights (−1, 0 or +1) that have another value 100 steps later. "
        "Where many change, the model cannot keep what it learned.",
    ),
    "cosine of hidden states of two positions (mean)": (
        "How alike all places look to the model",
        "Mean cosine of the inner states at two places of the text. At 1 the model sees "
        "the same everywhere, and can only give the same answer everywhere.",
    ),
}
ABOVE = "distinct predictions"  # stand in the first chart


@dataclass(frozen=True)
class Reason:
    """A measurement: what it is, what was measured, and its chart."""

    heading: str
    text: str
    measured: str
    chart: Chart


def why(study: Study) -> tuple[list[Reason], list[Reason]]:
    """The measurements that explain, and the others; only those that were recorded."""
    quantities = {name: q for name, q in named().items() if name != ABOVE}
    if study.rows["HeadNorm"].equals(study.rows["EmbedNorm"]):  # one tied matrix: not twice
        quantities = {name: q for name, q in quantities.items() if q is not HEAD}
    found = {name: _reason(study, name, quantity) for name, quantity in quantities.items()}
    found = {name: reason for name, reason in found.items() if reason}
    first = [found[name] for name in WHY if name in found]
    return first, [reason for name, reason in found.items() if name not in WHY]


def named() -> dict[str, Quantity]:
    """The quantities of the mechanism by name."""
    return {quantity.label.replace("\n", " "): quantity for quantity in QUANTITIES}


def _reason(study: Study, name: str, quantity: Quantity) -> Reason | None:
    """The measurement of a quantity; None where it was not recorded."""
    drawn = study.compared(quantity.values, quantity.log)
    if not drawn:
        return None
    heading, text = WHY.get(name, (name[0].upper() + name[1:], ""))
    optimizer = study.cells.loc[study.main, "Optimizer"]
    if quantity.decays and quantity.decays not in COUPLED.get(optimizer, ()):
        text = f"{text} Under {optimizer} decay is not in the gradient: what it would be there."
    if quantity.decays:
        text = f"{text} Without weight decay there is nothing to draw."
    chart = Chart(
        title=f"{heading}, {study.names[study.main]}",
        unit=name,
        lines=drawn,
        last=study.last,
        log=quantity.log,
        references={quantity.one.replace("\n", " "): 1.0} if quantity.one else {},
        switches=study.switches(study.main),
    )
    return Reason(heading, text.strip(), measured(drawn), chart)


def measured(lines: Sequence[Line]) -> str:
    """The medians of curves, in a sentence."""
    ends = [line for line in lines if line.label]
    parts = [f"{_median(line)} {BEFORE}" for line in lines if line.name == BEFORE]
    parts += [f"{_median(line)} with {line.name}" for line in ends if not line.dashed]
    parts += [f"{_median(line)} with {line.label}" for line in ends if line.dashed]
    return f"Medians over the steps: {'; '.join(parts)}."


def _median(line: Line) -> str:
    return written(statistics.median(line.values))
