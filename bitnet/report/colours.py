"""Colours of the page in pairs, for light and for dark, and their contrast.

Every pair has a contrast of at least 4.5 on both grounds of its scheme (WCAG 2.2, 1.4.3), as lines
and as text. Hues are those of Okabe & Ito (2008) and a violet, made darker or lighter for it.
"""

LIGHT, DARK = 0, 1
PAPER, TINT = ("#ffffff", "#14171a"), ("#eef3f8", "#20282f")  # the grounds: page, marked row
INKS = {
    "ink": ("#1b1f23", "#e8eaed"),
    "muted": ("#545b63", "#a9b1ba"),
    "treatment": ("#0066a0", "#5fb8ec"),
    "control": ("#a84600", "#f0955a"),
    "other1": ("#00694c", "#3cc79b"),
    "other2": ("#8f3f70", "#dd9cc0"),
    "other3": ("#7a5900", "#e0b040"),
    "other4": ("#5546b0", "#ab9ff2"),
}
OTHERS = ("other1", "other2", "other3", "other4")


def variables(scheme: int) -> str:
    """The colours of LIGHT or DARK as custom properties of CSS."""
    pairs = {"paper": PAPER, "tint": TINT, **INKS}
    return " ".join(f"--{name}: {pair[scheme]};" for name, pair in pairs.items())


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours like "#14171a", from 1 to 21 (WCAG 2.2, contrast ratio)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
