"""Error messages in one form: key, value, and what is allowed."""

from collections.abc import Iterable

ERROR = "error:"  # how a line that ends a script begins


def refuse(key: str, value: object, allowed: str) -> ValueError:
    """The one form of a complaint about a value."""
    return ValueError(f"{key} is {shorten(repr(value))}; allowed: {allowed}")


def shorten(text: str, most: int = 200) -> str:
    """The text, or the beginning of a long one."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_of(names: Iterable[str]) -> str:
    """What a name may be, in words."""
    return f"one of {shorten(', '.join(names))}"
