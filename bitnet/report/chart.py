"""A line chart as HTML: curves in an SVG that fills any width, all text beside it as text.

The SVG is stretched to its box and its strokes are not, so one drawing is sharp and its labels
are legible on a phone, on a wide screen and on paper, without a plotting library. Curves carry
their names at their ends. The values lie in an attribute that `script.html` reads out under the
mouse and the arrow keys.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from bitnet.report.scale import Scale, apart, tick, written

SIDE = 1000  # units of the SVG's width and height
LABEL = 15  # pixels of a line of text
THIN = 0.88  # width of a reference's letter beside that of a curve's, which is bold
MIDDLE = (0.3, 0.6)  # where a switch has room for a name on either side
HEIGHTS = {"large": 230, "small": 150}  # pixels of a plot at least, as in style.html
STEPS = "training step"


@dataclass(frozen=True)
class Line:
    """A curve with its name, its colour (of `colours.INKS`) and the band around it."""

    name: str
    colour: str
    steps: Sequence[float]
    values: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    """Lowest and highest run at each step; empty for no band."""
    runs: Sequence[tuple[Sequence[float], Sequence[float]]] = ()
    """Steps and values of each single run, drawn thin."""
    label: str = ""
    """What stands at its end; empty: nothing."""
    dashed: bool = False

    @property
    def extent(self) -> list[float]:
        """All values that it draws."""
        runs = [value for _, run in self.runs for value in run]
        return [*self.values, *self.low, *self.high, *runs]


@dataclass(frozen=True)
class Chart:
    """Curves over training steps, and what they are compared with."""

    title: str
    unit: str
    """What the vertical axis measures."""
    lines: Sequence[Line]
    last: int
    """Last step of the horizontal axis."""
    log: bool = False
    references: Mapping[str, float] = field(default_factory=dict)
    """Horizontal lines by label."""
    switches: Sequence[int] = ()
    switch: str = "switch"
    """Name of the vertical lines."""
    before: str = ""
    """Name of what is left of them."""
    size: str = "small"
    among: Sequence[float] = ()
    """Further values that the vertical axis holds, for charts that share one."""

    def described(self) -> str:
        """The chart in words, for who cannot see it."""
        parts = [f"Line chart. {self.title}: {self.unit}, steps 0 to {self.last:,}"]
        for line in self.lines:
            seen = [value for value in line.values if math.isfinite(value)]
            if seen:
                parts.append(f"{line.name}: from {written(seen[0])} to {written(seen[-1])}")
        parts += [f"{self.switch} at step {step:,}" for step in self._seen()]
        if self.references:
            parts.append(f"for comparison: {', '.join(self.references)}")
        return ". ".join(parts) + "."

    def html(self) -> Markup:
        """The chart as an element of class `chart`."""
        across, up = Scale(0, max(self.last, 1)), self._vertical()
        labels = [line.label for line in self.lines]
        return Markup(
            '<div class="chart {size}" style="--letters:{letters:.1f}">'
            '<p class="axis up">{unit}{kind}</p>'
            '<div class="plot" role="img" tabindex="0" aria-label="{words}" data-lines="{data}">'
            '<svg viewBox="0 0 {side} {side}" preserveAspectRatio="none" aria-hidden="true">'
            "{drawn}</svg>{texts}</div>"
            '<p class="axis below">{steps}</p></div>'
        ).format(
            size=self.size,
            letters=max([*map(len, labels), *(THIN * len(name) for name in self.references), 0]),
            unit=self.unit,
            kind=", log scale" if self.log else "",
            words=self.described(),
            data=json.dumps([self.last, *map(_read_out, self.lines)], separators=(",", ":")),
            side=SIDE,
            drawn=Markup("").join(self._drawn(across, up)),
            texts=Markup("").join(self._texts(across, up)),
            steps=STEPS,
        )

    def _seen(self) -> list[int]:
        """The switches that were reached."""
        return [step for step in self.switches if step <= self.last]

    def _vertical(self) -> Scale:
        values = [*self.references.values(), *self.among]
        values += [value for line in self.lines for value in line.extent]
        return Scale.around(values, self.log)

    def _drawn(self, across: Scale, up: Scale):
        """Elements of the SVG, from back to front."""
        for value in up.ticks():
            yield _path("grid", _points([(0, value), (across.high, value)], across, up))
        for value in self.references.values():
            yield _path("reference", _points([(0, value), (across.high, value)], across, up))
        for step in self._seen():
            x = round(SIDE * across.share(step))
            yield _path("switch", f"M{x} 0V{SIDE}")
        for line in self.lines:
            if len(line.low):
                there = [*zip(line.steps, line.high, strict=True)]
                back = [*zip(line.steps, line.low, strict=True)][::-1]
                yield _path(f"band {line.colour}", _points(there + back, across, up) + "Z")
            for steps, run in line.runs:
                points = _points([*zip(steps, run, strict=True)], across, up)
                yield _path(f"run {line.colour}", points)
        for line in self.lines:
            points = _points([*zip(line.steps, line.values, strict=True)], across, up)
            yield _path(f"mean {line.colour}{' dashed' * line.dashed}", points)

    def _texts(self, across: Scale, up: Scale):
        """Labels of ticks, switches, curves and references."""
        for value in up.ticks():
            yield _text("tick y", f"top:{_percent(1 - up.share(value))}", tick(value))
        for value in across.ticks():
            yield _text("tick x", f"left:{_percent(across.share(value))}", tick(value))
        for place in [across.share(step) for step in self._seen()][:1]:
            left, right = f"left:{_percent(place)}", f"right:{_percent(1 - place)}"
            yield _text("named", left if place <= MIDDLE[1] else right, self.switch)
            if self.before and MIDDLE[0] <= place <= MIDDLE[1]:
                yield _text("named", right, self.before)
        ends = [
            (line.label, f"end {line.colour}", up.share(shown[-1]))
            for line in self.lines
            if line.label and (shown := [v for v in line.values if _drawable(v, self.log)])
        ]
        ends += [(name, "end muted", up.share(value)) for name, value in self.references.items()]
        gap = LABEL / HEIGHTS[self.size]
        places = apart([1 - place for _, _, place in ends], gap)
        for (label, kind, _), place in zip(ends, places, strict=True):
            yield _text(kind, f"top:{_percent(place)}", label)


def _drawable(value: float, log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not log)


def _points(points: Sequence[tuple[float, float]], across: Scale, up: Scale) -> str:
    """Data of a path through points; it is broken where one cannot be drawn."""
    parts, pen = [], "M"
    for step, value in points:
        if not _drawable(value, up.log):
            pen = "M"
            continue
        x, y = SIDE * across.share(step), SIDE * (1 - up.share(value))
        parts.append(f"{pen}{x:.0f} {y:.0f}")
        pen = "L"
    return "".join(parts)


def _path(kind: str, data: str) -> Markup:
    return Markup('<path class="{}" d="{}"/>').format(kind, data) if data else Markup("")


def _text(kind: str, style: str, text: str) -> Markup:
    return Markup('<span class="{}" style="{}">{}</span>').format(kind, style, escape(text))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _read_out(line: Line) -> list:
    """Name, steps and values of a curve, and of its band, in four digits."""
    columns = [[_number(v) for v in part] for part in (line.values, line.low, line.high)]
    return [line.name, [int(step) for step in line.steps], *filter(None, columns)]


def _number(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None
