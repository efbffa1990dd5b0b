"""Studies whose truth is known, made from the cells of a fitted one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2

from bitnet.config.thresholds import Thresholds
from bitnet.verdict.error_rates.draws import run_states
from bitnet.verdict.error_rates.generator import SEGMENTS, FittedCell, Path

NULL, TRIFLE, FIX, TWIN = TRUTHS = "nothing differs", "next to nothing", "a fix", "twin"
TRIFLING = 1.2  # ratio of the arms of a TRIFLE, within the equivalence ratio of 1.25
ENDS = (1.0, 1.25, 1.5)  # where weakened fixes end, in units of the threshold of diverse


@dataclass(frozen=True)
class Scenario:
    """Cells that are drawn and judged together, as one study."""

    truth: str
    """One of TRUTHS."""
    name: str
    cells: Sequence[FittedCell]


def scenarios(
    cells: Mapping[tuple, FittedCell], headline: tuple, thresholds: Thresholds
) -> list[Scenario]:
    """What a fitted study (`generator.fit`) lets one ask; `headline` is the key of its cell.

    Scenarios that need the headline cell's twin, or a healthy cell (trunk and arms diverse on
    their mean paths), are left out where the study has none.
    """
    main, every = cells[headline], list(cells.values())
    edge, under, over = (
        ending_at(ratio, main.treatment, main, thresholds)
        for ratio in (1.0, TRIFLING**-0.5, TRIFLING**0.5)
    )
    edges, trifle = (
        replace(main, control=control, treatment=treatment)
        for control, treatment in ((edge, edge), (under, over))
    )
    found = [Scenario(NULL, "headline cell", [nothing_differs(main)])]
    healthy = [key for key, cell in cells.items() if _healthy(cell, thresholds)]
    for key in sorted(healthy, key=lambda key: (key[-1] != headline[-1], key))[:1]:
        found.append(Scenario(NULL, "healthy cell", [nothing_differs(cells[key])]))
    found += [
        Scenario(NULL, "headline cell, arms at the threshold", [edges]),
        Scenario(NULL, "every cell", [nothing_differs(cell) for cell in every]),
        Scenario(NULL, "every cell at the threshold", [replace(edges, key=key) for key in cells]),
        Scenario(TRIFLE, f"arms {TRIFLING} apart at the threshold", [trifle]),
        Scenario(FIX, "headline cell", [main]),
        Scenario(FIX, "the same, spread at its upper limit", [at_upper_spread(main)]),
    ]
    for ratio in ENDS:
        weak = replace(main, treatment=ending_at(ratio, main.treatment, main, thresholds))
        found.append(Scenario(FIX, f"the same, ends at {ratio:g} x threshold", [weak]))
    found.append(Scenario(FIX, "every cell as measured", every))
    for key in (key for key in cells if key[:-1] == headline[:-1] and key != headline):
        half = replace(main, treatment=halfway(main.control, main.treatment))
        for name, twin in (("the same", main), ("half the", half), ("no", nothing_differs(main))):
            found.append(Scenario(TWIN, f"{name} effect", [main, replace(twin, key=key)]))
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
