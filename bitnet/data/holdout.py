"""Splits by share: which documents of a corpus are held out for validation."""

import hashlib
from collections.abc import Iterable, Iterator, MutableMapping

from bitnet.common.errors import CorpusError

HASH_BUCKETS = 10_000  # resolution of a split by document hash


def document_hash(text: str) -> bytes:
    """SHA-256 digest of a document without differences of white space, for splits and repeats."""
    return hashlib.sha256(" ".join(text.split()).encode()).digest()


def in_validation(text: str, share: float) -> bool:
    """Whether a document's hash puts it into the validation split of this share."""
    return int.from_bytes(document_hash(text)[:8], "big") % HASH_BUCKETS < share * HASH_BUCKETS


def of_split(
    texts: Iterable[str], share: float, held_out: bool, odd: MutableMapping
) -> Iterator[str]:
    """Documents of one split by hash; a single document is cut, and its last share held out.

    Documents of white space alone are passed on. odd: gets `one_document` where there is only one.
    CorpusError where several documents leave a split without any.
    """
    count, given, first = 0, 0, ""
    for text in texts:
        if not text.strip():
            yield text
            continue
        count += 1
        if count == 1:
            first = text  # until there is a second one
            continue
        for one in (first, text) if count == 2 else (text,):
            if in_validation(one, share) == held_out:
                given += 1
                yield one
    if count == 1:
        odd["one_document"] = {"count": 1}
        yield cut(first, share)[held_out]
    elif count and not given:
        done = "holds out none" if held_out else "holds out all"
        raise CorpusError(
            f"validation_share is {share:g}, which {done} of {count} documents; allowed: more "
            "documents (a .txt has one a file, or between lines of its `separator`), another "
            "validation_share, or files for `validation`"
        )


def cut(text: str, share: float) -> tuple[str, str]:
    """A document in two, the second about the last `share` of it: at a line end or a blank."""
    at = round(len(text) * (1 - share))
    latest = at + (len(text) - at) // 2
    for sign in ("\n", " "):
        if (found := text.find(sign, max(at - 1, 0), latest)) >= 0:
            at = found + 1
            break
    return text[:at].rstrip("\r\n"), text[at:].lstrip("\r\n")
