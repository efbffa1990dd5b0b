"""Error messages about invalid values, in one form: key, value, what is allowed."""

from collections.abc import Iterable

ERROR = "error:"  # first word of the line with which a script fails


class CorpusError(ValueError):
    """A text source that cannot be read; its message is one line."""


def refuse(key: str, value: object, allowed: str) -> ValueError:
    """ValueError, to be raised, with the line "key is value; allowed: ..."."""
    return ValueError(f"{key} is {shorten(repr(value))}; allowed: {allowed}")


def shorten(text: str, most: int = 200) -> str:
    """The text, cut to `most` characters with "..." at the end."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_of(names: Iterable[str]) -> str:
    """Allowed names as text: "one of a, b, c", shortened; what cannot be printed is escaped."""
    listed = (name if name.isprintable() else repr(name) for name in names)
    return f"one of {shorten(', '.join(listed))}"


def one_line(error: BaseException) -> str:
    """A library's error as "Type: message" in one line, cut to 120 characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:120]}"
