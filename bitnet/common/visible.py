"""Text of a corpus or a model, made safe to show: control characters as escapes.

Raw, they could move the cursor of a terminal, rename its window or hide what a file holds.
"""

ESCAPES = {i: f"\\x{i:02x}" for i in (*range(32), *range(127, 160)) if chr(i) not in "\n\t"}


def visible(text: str) -> str:
    """The text with control characters but line break and tab as escapes: ESC is \\x1b."""
    return text.translate(ESCAPES)
