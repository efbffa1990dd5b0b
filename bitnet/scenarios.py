"""Studies whose truth is known, made from the cells of a fitted one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from bitnet.drawn import run_states
from bitnet.simulate import SEGMENTS, FittedCell, Path
from bitnet.states import Thresholds

ENDS = (1.0, 1.25, 1.5)  # where weakened fixes end, in units of the threshold of diverse


@dataclass(frozen=True)
class Scenario:
    """Cells that are drawn and judged together, as one study."""

    name: str
    cells: Sequence[FittedCell]


def scenarios(
    cells: Mapping[tuple, FittedCell], headline: tuple, thresholds: Thresholds
) -> list[Scenario]:
    """What a fitted study (`bitnet.simulate.fit`) lets one ask; `headline` is the key of its cell.

    Scenarios that need the headline cell's twin, or a healthy cell (trunk and arms diverse on
    their mean paths), are left out where the study has none.
    """
    main = cells[headline]
    edge = ending_at(1.0, main.treatment, main, thresholds)
    undecided = replace(main, control=edge, treatment=edge)
    found = [Scenario("nothing differs, headline cell", [nothing_differs(main)])]
    healthy = [key for key, cell in cells.items() if _healthy(cell, thresholds)]
    for key in sorted(healthy, key=lambda key: (key[-1] != headline[-1], key))[:1]:
        found.append(Scenario("nothing differs, healthy cell", [nothing_differs(cells[key])]))
    found.append(Scenario("nothing differs, both at the threshold", [undecided]))
    found.append(Scenario("as measured, headline cell", [main]))
    found.append(Scenario("the same, spread at its upper limit", [at_upper_spread(main)]))
    for ratio in ENDS:
        weak = replace(main, treatment=ending_at(ratio, main.treatment, main, thresholds))
        found.append(Scenario(f"fix that ends at {ratio:g} x threshold", [weak]))
    for key in (key for key in cells if key[:-1] == headline[:-1] and key != headline):
        half = replace(main, treatment=halfway(main.control, main.treatment))
        for name, twin in (("the same", main), ("half", half), ("none", nothing_differs(main))):
            pair = [main, replace(twin, key=key)]
            found.append(Scenario(f"headline cell, twin's effect {name}", pair))
    every = list(cells.values())
    found.append(Scenario("study, nothing differs", [nothing_differs(cell) for cell in every]))
    edges = [replace(undecided, key=key) for key in cells]
    found.append(Scenario("study, all at the threshold", edges))
    found.append(Scenario("study, as measured", every))
    return found


def nothing_differs(cell: FittedCell) -> FittedCell:
    """The treatment comes from the control's distribution."""
    return replace(cell, treatment=cell.control)


def at_upper_spread(cell: FittedCell) -> FittedCell:
    """All spreads at the upper limit (95 %, one-sided) of what the measured seeds leave open."""
    freedom = cell.seeds - 1
    factor = math.sqrt(freedom / chi2.ppf(0.05, freedom))
    paths = {name: getattr(cell, name) for name in SEGMENTS}
    wide = {name: replace(path, spread=path.spread * factor) for name, path in paths.items()}
    return replace(cell, **wide)


def halfway(control: Path, treatment: Path) -> Path:
    """A treatment with half of the effect, in logarithms and in nats."""
    return replace(treatment, mean=(control.mean + treatment.mean) / 2)


def ending_at(ratio: float, path: Path, cell: FittedCell, thresholds: Thresholds) -> Path:
    """The path moved, counts and PDR by one factor, to end at `ratio` x what counts as diverse."""
    data = cell.rows["control"].iloc[0]
    primary, target = 0, thresholds.diverse_above
    if data["Blind"]:
        primary, target = 1, thresholds.blind_diverse_share * data["TrigramPDR"]
    end = np.exp(path.mean[-thresholds.final_evaluations :, primary]).mean()
    shift = math.log(ratio * target / end)
    return replace(path, mean=path.mean + np.array([shift, shift, 0.0]))


def _healthy(cell: FittedCell, thresholds: Thresholds) -> bool:
    data, states = cell.rows["control"].iloc[0], []
    for path in (getattr(cell, name) for name in SEGMENTS):
        run = np.column_stack([np.exp(path.mean[:, :2]), path.mean[:, 2]])
        states.append(run_states(run, path.copying, data, thresholds))
    return all(state == "diverse" for state in states)
