"""What a study asks: which arms are compared, by what, and what that is called.

A question is a mapping, as `studies.Study.question` completes it from config.yaml: `treatment` and
`control`, values of `axis` (Stage-2 weight decay where it is left out); `metric` with its `column`,
what is `better` and the `margin` (distinct predictions where it is left out); `headline`, the cell
that answers; `default`, the study's own value of an axis that names spell only where it differs.

Arms of Stage-2 weight decay branch from one trunk a seed. Arms of any other axis share the seed
alone, so there the control, not the switch, shows what the treatment is up against.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bitnet.config.run_names import AXES, Axis
from bitnet.config.thresholds import Thresholds

STAGE2 = "stage2_weight_decay"
COUNT = "UniquePredictions"
RATIOS = (COUNT, "PDR")  # compared by their logarithms: margins are ratios
SHORT, LONG = {STAGE2: "WD"}, {STAGE2: "Stage-2 WD"}  # other axes are called by their keys


@dataclass(frozen=True)
class Metric:
    """What arms are compared by."""

    column: str = COUNT
    better: str = "higher"
    margin: float | None = None
    """Ratio or difference of arms that still counts as equal; None: `equivalence_ratio`."""

    @property
    def sign(self) -> int:
        """What a difference is multiplied by, so that above 0 is better."""
        return 1 if self.better == "higher" else -1

    def bound(self, thresholds: Thresholds) -> float:
        """The margin as a difference: of logarithms where the metric is compared by its ratio."""
        margin = thresholds.equivalence_ratio if self.margin is None else self.margin
        return math.log(margin) if self.column in RATIOS else margin


def axis_of(question: Mapping) -> Axis:
    """The axis whose values are the arms."""
    key = question.get("axis", STAGE2)
    return next(axis for axis in AXES if axis.key == key)


def shares_trunk(question: Mapping) -> bool:
    """Whether both arms of a seed branch from one trunk."""
    return axis_of(question).key == STAGE2


def metric_of(question: Mapping) -> Metric:
    """What the arms are compared by."""
    return Metric(**question.get("metric", {}))


def is_original(question: Mapping) -> bool:
    """Whether it is the question that the original reports' claims are about, with other values."""
    return shares_trunk(question) and "metric" not in question


def arm_name(question: Mapping, arm: str) -> str:
    """'WD 0' or 'warmup_steps 100': what `treatment` or `control` is, in a table."""
    key = axis_of(question).key
    return f"{SHORT.get(key, key)} {value_name(question[arm])}"


def change(question: Mapping) -> str:
    """'Stage-2 WD 0 instead of 0.05', in a sentence."""
    key = axis_of(question).key
    treatment, control = (value_name(question[arm]) for arm in ("treatment", "control"))
    return f"{LONG.get(key, key)} {treatment} instead of {control}"


def value_name(value: float | str | bool) -> str:
    """A value of an axis as it is read."""
    return str(value).lower() if isinstance(value, str | bool) else f"{value:g}"
