"""Axes of a chart: where a value stands, round ticks, labels that do not cover each other."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SPARE = 0.04  # share of an axis left free above and below
MOST_TICKS = 5


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`, linear or logarithmic."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: Iterable[float], log: bool) -> "Scale":
        """The axis that holds all values that can be drawn, with a margin."""
        drawn = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0]
        low, high = min(drawn), max(drawn)
        if log:
            factor = max(high / low, 1.5) ** SPARE
            return cls(low / factor, high * factor, True)
        margin = SPARE * (high - low or abs(high) or 1.0)
        return cls(low - margin, high + margin)

    def share(self, value: float) -> float:
        """Place of a value on the axis: 0 at its low end, 1 at its high one."""
        low, high, value = (
            map(math.log, (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        return (value - low) / (high - low)

    def ticks(self) -> list[float]:
        """At most `MOST_TICKS` round values on the axis."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for digits in ((1, 2, 5), (1,)):
                found = [d * 10.0**p for p in powers for d in digits]
                found = [value for value in found if self.low <= value <= self.high]
                if len(found) <= MOST_TICKS:
                    break
            if len(found) > 1:
                return found[:: math.ceil(len(found) / MOST_TICKS)]
        least = (self.high - self.low) / MOST_TICKS
        power = 10.0 ** math.floor(math.log10(least))
        step = power * next(d for d in (1, 2, 5, 10) if d * power >= least)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [i * step for i in range(first, last + 1)]


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Places (0 to 1, in any order) moved so that each is at least `gap` from the next.

    They keep their order and stay within 0 and 1 as far as there is room.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved, free = list(places), -math.inf
    for i in order:
        moved[i] = free = max(places[i], free + gap)
    free = 1.0
    for i in reversed(order):
        moved[i] = min(moved[i], free)
        free = moved[i] - gap
    return moved


def tick(value: float) -> str:
    """A round value as short as a phone needs it: 2,000, 20k, 1.5M."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= max(unit, 1e4):
            return f"{value / unit:.10g}{letter}"
    return f"{value:,.10g}"


def written(value: float) -> str:
    """A value in words of the page: at most three digits that count, thousands apart."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
