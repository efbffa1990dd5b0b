"""Check of a tokenizer on the text that it is to encode: the tokens must stand for that text.

Losses are given per byte of text. They mean nothing where a tokenizer drops characters (unk) or
changes them (a normaliser), so such a tokenizer is refused before anything is trained.
"""

from collections.abc import Iterable, Iterator

from bitnet.common.errors import refuse
from bitnet.data.tokenizer import SPACE, Tokenizer

SAMPLE_BYTES = 1_000_000  # of each split
MOST_UNKNOWN = 0.001  # share of unk among the tokens of the sample

# What normalisers change: runs of blanks, compatibility forms, composed letters, case, controls.
TRIALS = ("a  b", "a ", "ﬁ²Ａ", "e\u0301", "Ab", "a\tb\nc", "a\u00a0b", "a\u200db")


def check_on(tokenizer: Tokenizer, name: str, texts: Iterable[str]) -> list[str]:
    """Check a tokenizer on a sample of text; lines about what it does to text, to be said.

    name: what the tokenizer is called in lines. ValueError in one line where more than
    MOST_UNKNOWN of the tokens are unk, a text does not come back from its tokens, or pieces do not
    hold the text's bytes. Only U+2581 may come back as a blank, which is said.
    """
    unk, sizes = tokenizer.model.unk_id(), tokenizer.piece_bytes()
    tokens = unknown = characters = blanked = 0
    dropped: set[str] = set()
    for text in texts:
        [ids] = tokenizer.encode_documents([text])
        tokens, characters = tokens + len(ids), characters + len(text)
        if count := ids.count(unk):
            unknown += count
            dropped |= _unknown(tokenizer, text)
            continue
        blanked += text.count(SPACE)
        kept = text.replace(SPACE, " ")
        if (back := tokenizer.decode(ids)) != kept:
            before, after = _difference(kept, back)
            allowed = f"one whose tokens stand for the text itself; {before!r} comes back as"
            raise refuse("tokenizer", name, f"{allowed} {after!r}")
        if (size := int(sizes[ids].sum())) != (whole := len(kept.encode())):
            allowed = f"one whose pieces hold the bytes of a text; {whole} are {size} in pieces"
            raise refuse("tokenizer", name, allowed)
    said = []
    if unknown:
        share, odd = unknown / tokens, ", ".join(map(repr, sorted(dropped)[:5]))
        if share > MOST_UNKNOWN:
            allowed = f"one with at most {MOST_UNKNOWN:.1%} unk among this text's tokens"
            raise refuse("tokenizer", name, f"{allowed}, not {share:.1%} (such as {odd})")
        said.append(f"tokenizer {name}: {share:.2g} of the text's tokens are unk, such as {odd}")
    if blanked:
        share = blanked / characters
        said.append(
            f"tokenizer {name}: U+2581, {share:.2g} of the text's characters, becomes a blank and "
            "counts as one byte"
        )
    if changed := next(_changes(tokenizer), None):
        before, after = changed
        said.append(
            f"tokenizer {name}: its normaliser changes text, {before!r} to {after!r}; "
            "nothing in the sample of this text"
        )
    return said


def sample(texts: Iterable[str], most: int = SAMPLE_BYTES) -> Iterator[str]:
    """The first documents of a split, up to about `most` bytes."""
    size = 0
    for text in texts:
        yield text
        size += len(text.encode())
        if size >= most:
            return


def _unknown(tokenizer: Tokenizer, text: str) -> set[str]:
    """Characters of a text that have no piece."""
    letters = sorted(set(text))
    encoded = tokenizer.model.encode(letters)
    unk = tokenizer.model.unk_id()
    return {letter for letter, ids in zip(letters, encoded, strict=True) if unk in ids}


def _difference(before: str, after: str, around: int = 10) -> tuple[str, str]:
    """Both texts around the first place where they differ."""
    pairs = zip(before, after, strict=False)
    shortest = min(len(before), len(after))
    first = next((i for i, (a, b) in enumerate(pairs) if a != b), shortest)
    start = max(0, first - around)
    return before[start : first + around], after[start : first + around]


def _changes(tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """Trial texts that the normaliser changes, before and after."""
    for text in TRIALS:
        after = tokenizer.model.normalize(text).replace(SPACE, " ")
        after = after.removeprefix(" " * tokenizer.dummy_prefix)
        if after != text:
            yield text, after
