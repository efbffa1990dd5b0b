"""Parts of pages in docs/ that a script writes: between two marks that name the script."""

import re

MARKS = "<!-- {name} made by {script} -->", "<!-- end of {name} -->"


def exchanged(page: str, name: str, text: str, script: str) -> str:
    """A page with other text between the marks of a name; ValueError where they are missing."""
    begin, end = (mark.format(name=name, script=script) for mark in MARKS)
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    page, count = between.subn(lambda _: f"{begin}\n{text}\n{end}", page)
    if count != 1:
        raise ValueError(f"the page has {count} pairs of {begin!r} and {end!r}; allowed: one")
    return page
