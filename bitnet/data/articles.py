"""Articles of WikiText, whose data set on the hub has a line of the original file a row."""

import re
from collections.abc import Iterator
from typing import Protocol

HEADING = re.compile(r" = [^=]* = \n?")  # of one level: " = = Title = = " is a section's


class Rows(Protocol):
    """Rows of a stream; position: where it goes on, as a value that JSON can hold."""

    position: object

    def __iter__(self) -> Iterator[str]: ...


class Articles:
    """Articles of rows, as the original file has them: its blank lines, empty rows here, hold " ".

    A heading of one level between blank lines begins an article. (Among other lines it is a line of
    an article: two formulas of the test split look like one.) position: where the rows after the
    last whole article begin.
    """

    def __init__(self, rows: Rows):
        self._rows, self.position = rows, rows.position

    def __iter__(self) -> Iterator[str]:
        """Articles, each with its heading and the blank lines behind it."""
        lines: list[str] = []
        before, here = self.position, self.position  # of the last row in `lines`, and behind it
        for row in self._rows:
            begins = not row.strip() and lines and HEADING.fullmatch(lines[-1])
            if begins and len(lines) > 1 and not lines[-2].strip():
                heading = lines.pop()
                if any(line.strip() for line in lines):
                    self.position = before
                    yield "".join(lines)
                lines = [heading]
            lines.append(row or " \n")
            before, here = here, self._rows.position
        self.position = self._rows.position
        if any(line.strip() for line in lines):
            yield "".join(lines)
