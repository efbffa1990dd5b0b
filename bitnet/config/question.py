"""A study's question: two arms, the metric that compares them, and the headline cell.

Arms of Stage-2 weight decay branch from one trunk per seed. Runs that differ in another axis share
only their seed, not a trunk. So there the control's final state, not the state at the switch,
shows whether there was a collapse to prevent.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from bitnet.common.errors import one_of, refuse
from bitnet.config.run_names import AXES, Axis
from bitnet.config.thresholds import Thresholds

STAGE2 = "stage2_weight_decay"
COUNT = "UniquePredictions"
RATIOS = (COUNT, "PDR")  # metrics compared by their logarithms: margins are ratios
SHORT, LONG = {STAGE2: "WD"}, {STAGE2: "Stage-2 WD"}  # names of axes; default: the key
AXIS = {axis.key: axis for axis in AXES}
RATES_TO_CHOOSE = 3  # the better one of two is always at an edge of those tried
IN_A_HEADLINE = ("variant", *(key for key in AXIS if key != "seed"))

Value = float | str | bool


@dataclass(frozen=True)
class Metric:
    """The column that compares two arms, its direction and its equivalence margin.

    ValueError in one line for a margin of at most 1 where the metric is compared by its ratio.
    """

    column: str = COUNT
    better: str = "higher"
    margin: float | None = None
    """Ratio or difference between arms that still counts as equal; None: `equivalence_ratio`."""

    def __post_init__(self):
        if self.column in RATIOS and self.margin is not None and self.margin <= 1:
            ratio = f"above 1, a ratio of {self.column}"
            raise refuse("question.metric.margin", self.margin, ratio)

    @property
    def sign(self) -> int:
        """Factor (1 or -1) that makes a positive difference an improvement."""
        return 1 if self.better == "higher" else -1

    def bound(self, thresholds: Thresholds) -> float:
        """The margin as a difference: ln(margin) where the metric is compared by its ratio."""
        margin = thresholds.equivalence_ratio if self.margin is None else self.margin
        return math.log(margin) if self.column in RATIOS else margin


@dataclass(frozen=True)
class Question:
    """Comparison of two values of one axis.

    ValueError in one line for equal arms, and for a headline with an unknown axis or without the
    control's value.
    """

    treatment: Value
    control: Value
    headline: Mapping[str, Value] = field(default_factory=dict)
    """The cell that answers the question: values by axis key (or "variant")."""
    axis: Axis = AXIS[STAGE2]
    """The axis in which the two arms differ."""
    metric: Metric = Metric()
    default: Value | None = None
    """The axis value of runs whose name does not mention the axis."""

    def __post_init__(self):
        key = self.axis.key
        if self.treatment == self.control:
            raise refuse("question.control", self.control, "another than treatment")
        for name in self.headline:
            if name not in IN_A_HEADLINE:
                raise refuse("question.headline", name, one_of(IN_A_HEADLINE, name))
        if self.headline.get(key, self.control) != self.control:
            control = f"the control, {self.control}: cells are named by it"
            raise refuse(f"question.headline.{key}", self.headline[key], control)

    @classmethod
    def from_dict(cls, fields: Mapping) -> "Question":
        """A question from a mapping such as the one that `Study.question` completes.

        ValueError in one line for an unknown axis, and for unknown or missing keys.
        """
        fields = dict(fields)
        key = fields.pop("axis", STAGE2)
        if key not in AXIS:
            raise refuse("question.axis", key, one_of(AXIS, key))
        try:
            return cls(axis=AXIS[key], metric=Metric(**fields.pop("metric", {})), **fields)
        except TypeError as error:
            raise ValueError(f"not a question: {error}") from None

    @classmethod
    def from_json(cls, text: str) -> "Question":
        """A question from the JSON of `to_json`; ValueError for unknown or missing keys."""
        try:
            fields = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"not a question: {error}") from None
        if not isinstance(fields, dict):
            raise ValueError(f"not a question: {text}")
        return cls.from_dict(fields)

    def to_dict(self) -> dict:
        """Arms, headline and whatever differs from the defaults, under the keys of config.yaml."""
        fields = {"treatment": self.treatment, "control": self.control}
        fields["headline"] = dict(self.headline)
        if not self.shares_trunk:
            fields["axis"] = self.axis.key
        metric = {k: v for k, v in asdict(self.metric).items() if v != getattr(Metric, k)}
        fields |= {"metric": metric} if metric else {}
        return fields | ({} if self.default is None else {"default": self.default})

    def to_json(self) -> str:
        """Canonical JSON: sorted keys; equal questions are equal strings."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @property
    def shares_trunk(self) -> bool:
        """Whether both arms of a seed branch from one trunk."""
        return self.axis.key == STAGE2

    @property
    def is_original(self) -> bool:
        """Whether axis and metric are those of the original reports' claims."""
        return self.shares_trunk and self.metric == Metric()

    @property
    def change(self) -> str:
        """The comparison in words, for a sentence: 'Stage-2 WD 0 instead of 0.05'."""
        key, treatment, control = self.axis.key, *map(value_name, (self.treatment, self.control))
        return f"{LONG.get(key, key)} {treatment} instead of {control}"

    def chooses_rates(self, rates: int) -> bool:
        """Whether the arms of a study with so many learning rates can each have their best one."""
        return self.axis.key != "peak_lr" and rates >= RATES_TO_CHOOSE

    def value(self, arm: str) -> Value:
        """The axis value of "treatment" or "control"."""
        return {"treatment": self.treatment, "control": self.control}[arm]

    def arm_name(self, arm: str) -> str:
        """Name of the arm "treatment" or "control" in a table: 'WD 0' or 'warmup_steps 100'."""
        return f"{SHORT.get(self.axis.key, self.axis.key)} {value_name(self.value(arm))}"


ORIGINAL = Question(treatment=0.0, control=0.05)  # the original reports' question, no headline


def value_name(value: float | str | bool) -> str:
    """An axis value as text: 'true', 'adamw', '0.05'."""
    return str(value).lower() if isinstance(value, str | bool) else f"{value:g}"
