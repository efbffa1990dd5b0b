"""Lines about a text that its reader would want to know, from its description text.json."""

from collections.abc import Iterator, Mapping

SEPARATORS = 'documents of a .txt are separated by lines that are {!r} (key `separator`; "": blank)'

BUILT_IN = ("stories", "arithmetic")  # repeat what they make by chance


def remarks(described: Mapping, source: Mapping) -> list[str]:
    """What was odd in a text and is no error, a line each; none for ordinary text.

    described: both splits as text.json has them. source: the block of `corpora`, with `separator`.
    """
    splits = [described[split] for split in ("train", "validation")]
    lines = [line for split in splits for line in _odd(split.get("odd", {}), source)]
    repeated = described["train"]["repeated"]
    if repeated and source["source"] not in BUILT_IN:
        documents = described["train"]["documents"]
        lines.append(f"{repeated} of {documents} training documents repeat an earlier one")
    if count := sum(split["blank_sign"] for split in splits):
        lines.append(
            f"{count} documents hold the sign U+2581, which a SentencePiece tokenizer makes a blank"
        )
    return list(dict.fromkeys(lines))


def _odd(odd: Mapping[str, Mapping], source: Mapping) -> Iterator[str]:
    between = SEPARATORS.format(source["separator"])
    if "one_document" in odd:
        yield (
            f"all text is one document: its last part is held out (validation_share "
            f"{source['validation_share']:g}); otherwise give files for `validation`, or more "
            f"documents: {between}"
        )
    elif "no_separator" in odd:
        yield f"{_where(odd['no_separator'])}: no separator, one document a file; {between}"
    if "separator_in_line" in odd:
        yield (
            f"{_where(odd['separator_in_line'])}: the separator stands inside a line, where it "
            f"separates nothing; {between}"
        )
    if "lone_cr" in odd:
        yield (
            f"{_where(odd['lone_cr'])}: line ends of old Macs (CR without LF) end no line here and "
            "stay in the text"
        )


def _where(found: Mapping) -> str:
    more = f" and {found['count'] - 1} more" if found["count"] > 1 else ""
    return f"{found['first']}{more}"
