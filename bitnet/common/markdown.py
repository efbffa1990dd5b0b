"""Markdown that is also readable as plain text in a terminal: tables, bullets, numbers."""

import math
import textwrap
from collections.abc import Sequence

WIDTH = 100


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table with padded columns; every row has one string per column of the header."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def number(value: float, style: str) -> str:
    """A number in a format; "-" if it is not finite, one digit and exponent from 10,000 on."""
    if not math.isfinite(value):
        return "-"
    if style == ".2g" and 0 < value < 1e-4:
        return "<1e-4"
    return format(value, style if value < 1e4 else ".0e")


def interval(values: Sequence[float], style: str) -> str:
    """Text "mean [low, high]" of three numbers in a format; the mean alone if low is NaN."""
    mean, low, high = (number(value, style) for value in values)
    return mean if low == "-" else f"{mean} [{low}, {high}]"


def bullets(lines: Sequence[str]) -> str:
    """Markdown list, each item wrapped at WIDTH."""
    return "\n".join(fill(f"- {line}", indent="  ") for line in lines)


def fill(text: str, indent: str = "") -> str:
    """Paragraph wrapped at WIDTH; `indent` begins every line but the first."""
    # A word broken at its hyphen would be rendered with a space.
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
