"""Names of runs: conversion of `h256_wd0.05_adamw_fp_lr5e-4_seed2` to axis values and back.

A name is `h{hidden_size}_wd{stage2_weight_decay}` followed by every axis that differs from its
study's default, in the order of AXES. A trunk is named like its runs, without `wd`. Each value has
exactly one spelling, so a file name has exactly one meaning. A new axis is one more entry of AXES
and does not change the meaning of existing names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from bitnet.config.recipe import OPTIMIZERS

NUMBER = r"\d+(?:\.\d+)?(?:e-?\d+)?"
INTEGER = r"\d+"


@dataclass(frozen=True)
class Axis:
    """One dimension of a grid: its key in config.yaml, its column in a CSV, its spelling."""

    key: str
    column: str
    prefix: str = ""
    pattern: str = INTEGER
    words: Mapping = field(default_factory=dict)

    def spell(self, value) -> str:
        """The part of a run's name that stands for `value`; KeyError for an unknown word."""
        if self.words:
            return self.words[value]
        return self.prefix + (spell_number(value) if self.pattern == NUMBER else str(value))

    def read(self, part: str):
        """The value that a part of a name spells, or None where it belongs to another axis."""
        if self.words:
            return next((value for value, word in self.words.items() if word == part), None)
        match = re.fullmatch(f"{self.prefix}({self.pattern})", part)
        if match is None:
            return None
        return float(match[1]) if self.pattern == NUMBER else int(match[1])


AXES = (
    Axis("hidden_size", "HiddenSize", "h"),
    Axis("stage2_weight_decay", "Stage2WD", "wd", NUMBER),
    Axis("optimizer", "Optimizer", words={name: name for name in OPTIMIZERS}),
    Axis("weights", "Weights", words={"ternary": "ternary", "full_precision": "fp"}),
    Axis("peak_lr", "PeakLR", "lr", NUMBER),
    Axis("stage1_weight_decay", "Stage1WD", "stage1wd", NUMBER),
    Axis("warmup_steps", "Variant", "warmup"),
    Axis("gradient_clip", "Variant", "clip", NUMBER),
    Axis("label_smoothing", "Variant", "smooth", NUMBER),
    Axis("lr_switch", "Variant", "switchlr"),
    Axis("wd_switch", "Variant", "switchwd"),
    Axis("shuffled", "Variant", words={False: "ordered", True: "shuffled"}),
    Axis("seed", "Seed", "seed"),
)
VARIANT = "Variant"  # the common column of all axes that few studies vary
BASE = "base"  # its value where a run has its study's default in all of them
ALWAYS = ("hidden_size", "stage2_weight_decay")  # in a name even where they are the default
RUN = rf"h\d+_wd{NUMBER}(?:_[a-z0-9.-]+)*"  # pattern of a run's name, for file names
TRUNK = r"h\d+(?:_(?!wd)[a-z0-9.-]+)*"


def spell_number(value: float) -> str:
    """The shortest spelling of a number, decimal where lengths are equal: 0, 0.05, 5e-4."""
    number = Decimal(repr(float(value))).normalize()
    decimal = f"{number:f}"
    digits = "".join(str(digit) for digit in number.as_tuple().digits)
    point = f"{digits[0]}.{digits[1:]}" if digits[1:] else digits
    scientific = f"{point}e{number.adjusted()}"
    return decimal if len(decimal) <= len(scientific) else scientific


def spell(values: Mapping, defaults: Mapping) -> str:
    """Name of the run with these axis values, or of a trunk if stage2_weight_decay is None.

    values and defaults map the key of every axis to a value.
    """
    return "_".join(axis.spell(values[axis.key]) for axis in _spelled(values, defaults))


def _spelled(values: Mapping, defaults: Mapping) -> list[Axis]:
    return [
        axis
        for axis in AXES
        if values[axis.key] is not None
        and (axis.key in ALWAYS or values[axis.key] != defaults[axis.key])
    ]


def parse(name: str, defaults: Mapping) -> dict:
    """Axis values, by key, of a run's or trunk's name.

    ValueError in one line for a part that is unknown or misspelled, or in the wrong order.
    """
    values: dict = {**defaults, "hidden_size": None, "stage2_weight_decay": None}
    axes = iter(AXES)
    for part in name.split("_"):
        for axis in axes:
            value = axis.read(part)
            if value is not None:
                values[axis.key] = value
                break
        else:
            known = ", ".join(axis.prefix or "/".join(axis.words.values()) for axis in AXES)
            raise ValueError(
                f"run {name!r}: {part!r} is not understood there; allowed, in this order: {known}"
            )
    if values["hidden_size"] is None:
        raise ValueError(f"run {name!r}: begins with h and the hidden size, like h256_wd0")
    if (right := spell(values, defaults)) != name:
        raise ValueError(f"run {name!r} is spelled {right!r}")
    return values


def variant_of(name: str, defaults: Mapping) -> str:
    """The parts of a run's name that share the column Variant; "base" if there are none."""
    values = parse(name, defaults)
    parts = [
        axis.spell(values[axis.key])
        for axis in _spelled(values, defaults)
        if axis.column == VARIANT
    ]
    return "_".join(parts) or BASE


def keys_of(variant: str) -> list[str]:
    """Keys of config.yaml whose values a variant's name holds."""
    return [
        axis.key
        for part in variant.split("_")
        for axis in AXES
        if axis.column == VARIANT and axis.read(part) is not None
    ]


def trunk_of(name: str, defaults: Mapping) -> str:
    """Name of the trunk that a run branches from."""
    return spell({**parse(name, defaults), "stage2_weight_decay": None}, defaults)
