"""WikiText's rows joined to articles, as the original files have them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitnet.data import corpora
from bitnet.data.articles import Articles
from bitnet.data.corpora import Documents
from tests.data.test_hub import load_locally

ARTICLES = [
    " = First = \n \n Some words . \n More . \n \n = = Section = = \n \n Words <unk> . \n \n",
    " = 1 b = \n \n = = = Deep = = = \n \n The formulas \n = a / b = \n = c = \n end here . \n \n",
    " = Last one = \n \n Ends without a blank line . \n",
]
FILE = " \n" + "".join(ARTICLES)
# The hub has a row for each line, and "" for a blank one.
ROWS = [f"{line}\n" if line.strip() else "" for line in FILE.removesuffix("\n").split("\n")]


class Listed:
    """Rows of a list, whose position is the number of the next one."""

    def __init__(self, position: int = 0):
        self.position = position

    def __iter__(self):
        for row in ROWS[self.position :]:
            self.position += 1
            yield row


def test_rows_are_joined_to_the_articles_of_the_original_file():
    """Reports of perplexities that do not compare, because each line was read as a document."""
    assert list(Articles(Listed())) == ARTICLES


def test_an_article_that_was_taken_is_not_read_again_after_an_interruption():
    for taken in range(len(ARTICLES)):
        first = Articles(Listed())
        stream = iter(first)
        assert [next(stream) for _ in range(taken)] == ARTICLES[:taken]
        assert list(Articles(Listed(first.position))) == ARTICLES[taken:]
    done = Articles(Listed())
    list(done)
    assert list(Articles(Listed(done.position))) == []


@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_the_corpus_wikitext2_has_as_many_documents_as_articles(tmp_path, monkeypatch, taken):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ROWS}), path)
    monkeypatch.setattr(corpora, "open_hub", lambda *_: load_locally(path))
    documents = Documents({"source": "wikitext2"}, "train")
    stream = iter(documents)
    assert [next(stream) for _ in range(taken)] == ARTICLES[:taken]
    position = json.loads(json.dumps(documents.position))
    rest = Documents({"source": "wikitext2"}, "train", position)
    assert list(rest) == ARTICLES[taken:] and documents.empty == rest.empty == 0
