"""Pages of made-up studies, and what stands in a page."""

from html.parser import HTMLParser

from bitnet.evaluation.record import RunRecord
from bitnet.report.page import page
from tests.helpers.figures import LIMITS
from tests.helpers.tables import QUESTION

RECORD = RunRecord.from_dict(
    {
        "data": "1234abcd5678",
        "seconds": 60.0,
        "tokens_per_second": 1000,
        "environment": {"device": "cpu", "torch": "2.13.0", "python": "3.11.7", "commit": "abc"},
        "lineage": {
            "text": {"source": {"source": "<b>stories</b>", "separator": "\x1b[2J\u202e"}},
            "train": {"code": "t"},
            "evaluate": {},
        },
    }
)
VOID = {"meta", "link", "path", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Elements of a page with the ids and classes around them; refuses what is not balanced."""

    def __init__(self, html: str):
        super().__init__()
        self.open, self.found, self.links, self.text = [], [], [], ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[key] for key in ("src", "href") if attrs.get(key)]
        name = f"{tag}#{attrs['id']}" if "id" in attrs else tag
        self.found.append((" ".join([*self.open, name]), attrs))
        if tag not in VOID:
            self.open.append(name)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop().split("#")[0] == tag

    def handle_data(self, data):
        if not {"style", "script"} & {*self.open}:
            self.text += data

    def of(self, kind: str) -> list[dict]:
        """Attributes of the elements of a class."""
        return [attrs for _, attrs in self.found if kind in (attrs.get("class") or "").split()]


def made(rows, question=QUESTION, title="small", records=None) -> str:
    return page(rows, records or {"run": RECORD}, question, LIMITS, title)
