"""Text sources with one interface: streams of documents, split into train and validation.

`stories` and `arithmetic` are built in and need no download; `files` reads local text;
`tinystories`, `fineweb_edu` and `wikitext2` stream from the Hugging Face hub at a pinned revision.
A source that cannot be read raises CorpusError with one line.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from bitnet.data.arithmetic import problems
from bitnet.data.articles import Articles
from bitnet.data.holdout import in_validation, of_split
from bitnet.data.hub import HUB, HubTexts, open_hub
from bitnet.data.local_files import matching_files
from bitnet.data.local_texts import DEFAULTS, read_files
from bitnet.data.stories.grammar import stories


class Documents:
    """Iterator over the non-empty documents of one split of a `corpora:` block, in fixed order.

    position: the `position` of an earlier iterator over the same block and split; this one goes on
    behind it. `empty` counts the documents that held white space only; `odd` is what else was met
    that a reader would want to know, see `local_texts.read_files`. Iteration raises CorpusError
    where the source cannot be read.
    """

    def __init__(self, source: Mapping, split: str, position: object = None):
        self.odd: dict[str, dict] = {}
        self._texts, self._share = _texts(source, split, position, self.odd)
        self._held_out, self.empty = split == "validation", 0

    @property
    def position(self) -> object:
        """How far the source has been read, as a value that JSON can hold."""
        return self._texts.position

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            if not text.strip():
                self.empty += 1
            elif self._share is None or in_validation(text, self._share) == self._held_out:
                yield text


class CountedTexts:
    """Texts whose position is their count: resuming reads the source again from its beginning."""

    def __init__(self, texts: Iterable[str], position: int | None = None):
        self._texts, self.position = texts, position or 0

    def __iter__(self) -> Iterator[str]:
        for text in islice(self._texts, self.position, None):
            self.position += 1
            yield text


def _texts(
    source: Mapping, split: str, position, odd: dict
) -> tuple[HubTexts | Articles | CountedTexts, float | None]:
    """Texts that contain a split, and the share of them held out by hash (None: all are of it)."""
    kind = source["source"]
    if kind == "stories":
        return CountedTexts(stories(source.get("seed", 0), split), position), None
    if kind == "arithmetic":
        return CountedTexts(problems(source, split), position), None
    if kind == "files":
        return CountedTexts(_local_texts(source, split, odd), position), None
    dataset = replace(HUB[kind], name=source.get("subset", HUB[kind].name))
    on_hub = split if dataset.has_validation else "train"
    share = None if dataset.has_validation else source.get("validation_share", 0.001)
    texts = HubTexts(lambda: open_hub(dataset, on_hub), dataset, position)
    return Articles(texts) if kind == "wikitext2" else texts, share


def _local_texts(source: Mapping, split: str, odd: dict) -> Iterator[str]:
    """Documents of one split of local files."""
    own, source = bool(source.get("validation")), DEFAULTS | source
    key = split if own else "train"
    texts = read_files(matching_files(source[key], f"corpora: {key}"), source, odd)
    if own:
        return texts
    return of_split(texts, source["validation_share"], split == "validation", odd)
