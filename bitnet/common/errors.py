"""Error messages about invalid values, in one form: key, value, what is allowed."""

from collections.abc import Iterable
from difflib import get_close_matches

ERROR = "error:"  # first word of the line with which a script fails


class CorpusError(ValueError):
    """A text source that cannot be read; its message is one line."""


def refuse(key: str, value: object, allowed: str) -> ValueError:
    """ValueError, to be raised, with the line "key is value; allowed: ..."."""
    return ValueError(f"{key} is {shorten(repr(value))}; allowed: {allowed}")


def shorten(text: str, most: int = 200) -> str:
    """The text, cut to `most` characters with "..." at the end."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_of(names: Iterable[str], value: object = None, most: int = 200) -> str:
    """Allowed names as text: "one of a, b, c", with the one that `value` may be a slip of.

    Of many names the first ones stand there, whole; what cannot be printed is escaped.
    """
    names = list(names)
    listed = list(map(_printable, names))
    while len(", ".join(listed)) > most and len(listed) > 1:
        listed.pop()
    more = f" and {len(names) - len(listed)} more" if len(listed) < len(names) else ""
    return f"one of {shorten(', '.join(listed), most)}{more}{did_you_mean(value, names)}"


def _printable(name: str) -> str:
    return name if name.isprintable() else repr(name)


def did_you_mean(value: object, names: Iterable, most: int = 1) -> str:
    """ "; did you mean a?", with the names most like a value; empty if none is like it."""
    words = [name for name in names if isinstance(name, str)]  # an enumeration may hold a null
    close = get_close_matches(value, words, most) if isinstance(value, str) else []
    return f"; did you mean {' or '.join(map(_printable, close))}?" if close else ""


def one_line(error: BaseException) -> str:
    """A library's error as "Type: message" in one line, cut to 120 characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:120]}"
