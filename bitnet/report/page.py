"""HTML report of a study as one self-contained page: verdict, curves, claims, provenance."""

import base64
import io
import statistics
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import plotly.io
from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from bitnet.claims.evidence import Evidence
from bitnet.claims.ledger import ledger
from bitnet.config.question import Question
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.record import RunRecord
from bitnet.figures.draw import draw
from bitnet.figures.rows import prepared
from bitnet.figures.style import save
from bitnet.figures.trajectories import QUANTITIES
from bitnet.report.interactive import columns, curves
from bitnet.verdict.details import details
from bitnet.verdict.headline import asked, below, headline
from bitnet.verdict.report import overview

TEMPLATE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
CURVES = {
    "unique_predictions": "Distinct predictions of {N:,} held-out positions (log scale)",
    "loss": "Validation loss in nats",
}
MECHANISM = (
    "What weights and gradients did, a column an optimizer and kind of weights: norms, decay "
    "beside gradient, learning rate beside weight, flips, zeros, how alike hidden states are"
)

NARROWEST = 250  # pixels of a panel at least; a wider figure scrolls
PLOT = {"responsive": True, "displaylogo": False, "displayModeBar": False}


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
    study = Evidence(rows, question, thresholds)
    shown, first = prepared(rows, question), rows.iloc[0]
    claims = ledger({title: study} if question.is_original else {})
    untested = claims.loc[claims["Outcome"] == "not tested", "Claim"]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE)
    return template.render(
        title=title,
        question=asked(question),
        answer=headline(study.cells, question),
        below=below(study.cells, question, thresholds),
        sample=(
            f"{shown['Seed'].nunique()} seeds, {len(records)} runs, judged at N = {first['N']:,} "
            f"held-out positions of data {first['DataHash']:.8}."
        ),
        script=Markup(get_plotlyjs()),
        overview=_html(overview(study.cells, question, thresholds)),
        statistics=_sections(details(study.cells, question, thresholds)),
        curves=[_figure(name, text, shown, thresholds) for name, text in CURVES.items()],
        mechanism={
            "data": _svg(rows, thresholds, title, question),
            "caption": f"{MECHANISM}.",
            "alt": f"{MECHANISM}, of study {title}.",
        },
        claims=claims[claims["Study"] != ""].to_dict("records"),
        cost=_cost(records),
        provenance=_provenance(records),
        untested=list(untested),
    )


def _html(text: str) -> Markup:
    return Markup(MarkdownIt("commonmark").enable("table").render(text))


def _sections(text: str) -> list[Markup]:
    """The sections of a Markdown text as HTML."""
    return [_html(f"## {section}") for section in f"\n{text}".split("\n## ")[1:]]


def _figure(name: str, text: str, rows: pd.DataFrame, thresholds: Thresholds) -> dict:
    caption = text.format(**rows.iloc[0])
    column, last = QUANTITIES[name].column, rows["Step"] == rows["Step"].max()
    values = rows.assign(End=rows[column].where(last & ~rows["Diverged"]))
    means = values.groupby(["Optimizer", "Weights", "Arm"])["End"].mean()
    said = means.map("{:.4g}".format).where(means.notna(), "diverged")
    ends = "; ".join(f"{o} {w} with {arm}: {value}" for (o, w, arm), value in said.items())
    figure = curves(name, rows, thresholds)
    width = NARROWEST * columns(rows)
    html = plotly.io.to_html(
        figure,
        config=PLOT,
        include_plotlyjs=False,
        full_html=False,
        div_id=name,
    )
    return {
        "caption": caption,
        "alt": f"{caption}. At the end: {ends}.",
        "html": Markup(html),
        "width": width,
    }


def _svg(rows: pd.DataFrame, thresholds: Thresholds, title: str, question: Question) -> str:
    drawn = io.BytesIO()
    save(draw("mechanism", rows, thresholds, title, question), drawn, "svg")
    return base64.b64encode(drawn.getvalue()).decode()


def _cost(records: Mapping[str, RunRecord]) -> str:
    runs = list(records.values())
    seconds = sum(record.seconds for record in runs)
    speed = statistics.median(record.tokens_per_second for record in runs)
    devices = sorted({record.device for record in runs})
    return (
        f"Stage 2 of {len(runs)} runs took {seconds / 60:,.1f} minutes of training on "
        f"{', '.join(devices)}, at {speed:,.0f} tokens/s (median). Stage 1, which both arms of a "
        "seed share, comes on top, once a seed and cell."
    )


def _provenance(records: Mapping[str, RunRecord]) -> list[tuple[str, str]]:
    runs = [record.to_dict() for record in records.values()]

    def all_of(*path: str) -> str:
        values = set()
        for value in runs:
            for key in path:
                value = value.get(key, "-")
            values.add(str(value))
        return ", ".join(sorted(values))

    return [
        ("Data (sha256)", all_of("data")),
        ("Code of training", all_of("lineage", "train", "code")),
        ("Code of evaluation", all_of("lineage", "evaluate", "code")),
        ("Commit", all_of("environment", "commit")),
        ("PyTorch", all_of("environment", "torch")),
        ("Python", all_of("environment", "python")),
        ("Device", all_of("environment", "device")),
        ("Text", all_of("lineage", "text", "source")),
    ]
