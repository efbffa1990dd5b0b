"""The rows of a study as its question divides them: arms, and cells that hold all arms alike."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bitnet.question import STAGE2, axis_of
from bitnet.runs import BASE, VARIANT, spell_number


def armed(rows: pd.DataFrame, question: Mapping) -> pd.DataFrame:
    """Rows with `Arm`, the value of the question's axis; elsewhere all say what the control says.

    So the runs of a cell differ in seed and arm alone, and a cell is named like its control. Where
    the axis is another than Stage-2 weight decay, runs whose Stage-2 weight decay is not the
    headline's are a variant.
    """
    axis = axis_of(question)
    if axis.key == STAGE2:
        return rows.assign(Arm=rows["Stage2WD"])
    rows = rows[rows["Stage2WD"].notna()]  # a trunk's own table is none of a run
    if axis.column == VARIANT:
        found = {name: _split(name, axis, question["default"]) for name in rows[VARIANT].unique()}
        arms, names = (rows[VARIANT].map({k: v[i] for k, v in found.items()}) for i in (0, 1))
        rows = rows.assign(Arm=arms, Variant=names)
    else:
        rows = rows.assign(Arm=rows[axis.column], **{axis.column: question["control"]})
    other = ~np.isclose(rows["Stage2WD"], question["headline"][STAGE2])
    decays = "_wd" + rows["Stage2WD"].map(spell_number)
    named = (rows[VARIANT] + decays).str.removeprefix(f"{BASE}_")
    return rows.assign(Variant=rows[VARIANT].mask(other, named))


def of_arm(rows: pd.DataFrame, value: float | str | bool) -> pd.DataFrame:
    """Rows of one arm of those that are `armed`."""
    arms = rows["Arm"]
    same = arms == value if isinstance(value, str | bool) else np.isclose(arms, value)
    return rows[same]


def _split(variant: str, axis, default) -> tuple:
    """The value of an axis in a variant's name, and the name without it."""
    parts = {part: axis.read(part) for part in variant.split("_")}
    value = next((value for value in parts.values() if value is not None), default)
    others = [part for part, value in parts.items() if value is None]
    return value, "_".join(others) or BASE
