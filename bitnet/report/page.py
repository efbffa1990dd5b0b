"""HTML report of a study as one self-contained page: answer, chart, table, why, evidence."""

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from jinja2 import DictLoader, Environment, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from bitnet.claims.evidence import Evidence
from bitnet.claims.ledger import ledger
from bitnet.config.question import Question
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.record import RunRecord
from bitnet.figures.rows import prepared
from bitnet.report import colours
from bitnet.report.origin import cost, provenance
from bitnet.report.panels import MOST_PANELS, answer, curves, happens
from bitnet.report.study import Study
from bitnet.report.table import table
from bitnet.report.why import why
from bitnet.verdict.details import details
from bitnet.verdict.headline import asked, below, headline
from bitnet.verdict.report import overview

TEMPLATES = {
    name: Path(__file__).with_name(name).read_text(encoding="utf-8")
    for name in ("page.html", "style.html", "script.html")
}
DECAYS = {
    "adam": "Adam: the optimizer whose weight decay is part of the gradient (coupled L2).",
    "adamw": "AdamW: the one that takes decay off the weights apart from the gradient.",
}
# Characters that steer a terminal, hide, or turn the direction of text; a corpus may hold them.
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def page(
    rows: pd.DataFrame,
    records: Mapping[str, RunRecord],
    question: Question,
    thresholds: Thresholds,
    title: str,
) -> str:
    """The HTML page of a study.

    rows: all tables of the study, concatenated. records: by run, the records beside the tables.
    ValueError in one line where the rows do not belong to one study.
    """
    evidence = Evidence(rows, question, thresholds)
    cells, first = evidence.cells, rows.iloc[0]
    study = Study(prepared(rows, question), cells, question, thresholds)
    claims = ledger({title: evidence} if question.is_original else {})
    explaining, more = why(study)
    words, _ = overview(cells, question, thresholds).split("\n\n")
    environment = Environment(
        loader=DictLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return visible(
        environment.get_template("page.html").render(
            title=title,
            question=asked(question),
            answer=headline(cells, question),
            below=below(cells, question, thresholds),
            seeds=study.rows["Seed"].nunique(),
            runs=len(records),
            places=f"{first['N']:,}",
            data=f"{first['DataHash']:.8}",
            happens=happens(question),
            chart=answer(study),
            healthier=study.healthier is not None,
            table=table(study),
            words=html_of(f"{' '.join(words.split())} {settings(cells)}"),
            why=explaining,
            more=more,
            curves=curves(study),
            left_out=max(0, len(cells) - MOST_PANELS),
            statistics=sections(details(cells, question, thresholds)),
            claims=claims[claims["Study"] != ""].to_dict("records"),
            untested=list(claims.loc[claims["Outcome"] == "not tested", "Claim"]),
            cost=cost(records),
            provenance=provenance(records),
            light=Markup(colours.variables(colours.LIGHT)),
            dark=Markup(colours.variables(colours.DARK)),
        )
    )


def settings(cells: pd.DataFrame) -> str:
    """What the names of a study's settings mean, in a sentence or two."""
    said = ["Hidden: the width of the model."]
    for prefix, text in DECAYS.items():
        if any(name.split("-")[0] == prefix for name in cells["Optimizer"]):
            said.append(text)
    return " ".join(said)


def html_of(text: str) -> Markup:
    """Markdown as HTML; HTML in it stays text."""
    return Markup(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def sections(text: str) -> list[Markup]:
    """The sections of a Markdown text as HTML."""
    return [html_of(f"### {section}") for section in f"\n{text}".split("\n## ")[1:]]


def visible(text: str) -> str:
    """Text whose characters of `UNSEEN` are spelled: a raw escape becomes \\x1b."""
    return UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)
