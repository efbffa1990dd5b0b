"""Markdown that is readable in a terminal too: tables, bullets, filled text, numbers."""

import math
import textwrap
from collections.abc import Sequence

WIDTH = 100


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A pipe table with columns padded to one width, so that it can be read unrendered."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def number(value: float, style: str) -> str:
    """A number in a format, `-` where there is none."""
    if not math.isfinite(value):
        return "-"
    if style == ".2g" and 0 < value < 1e-4:
        return "<1e-4"
    return format(value, style if value < 1e4 else ".0e")


def interval(values: Sequence[float], style: str) -> str:
    """Mean [low, high], or the mean alone."""
    mean, low, high = (number(value, style) for value in values)
    return mean if low == "-" else f"{mean} [{low}, {high}]"


def bullets(lines: Sequence[str]) -> str:
    """A list, each item wrapped."""
    return "\n".join(fill(f"- {line}", indent="  ") for line in lines)


def fill(text: str, indent: str = "") -> str:
    """A paragraph wrapped at WIDTH."""
    # A word broken at its hyphen would be rendered with a space.
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
