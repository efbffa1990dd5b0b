"""Runs that diverge stop nothing: every artefact of a study is made, and each says so."""

import io
import re

import pytest

from bitnet.claims.evidence import Evidence
from bitnet.claims.ledger import ledger
from bitnet.claims.ledger import markdown as claims_text
from bitnet.claims.results_template import results_template
from bitnet.evaluation.record import RunRecord
from bitnet.figures.draw import FIGURES, draw
from bitnet.figures.style import save
from bitnet.report.page import page
from bitnet.verdict.report import markdown
from bitnet.verdict.rule import judge
from tests.helpers.diverged import WHERE, with_diverged
from tests.helpers.figures import LIMITS, texts
from tests.helpers.recipes import recipe
from tests.helpers.tables import QUESTION

RECORDS = {
    f"h256_{arm}": RunRecord.from_dict(
        {
            "data": "1234abcd5678",
            "diverged": diverged,
            "seconds": 60.0,
            "tokens_per_second": 1000,
            "training_tokens": 40_000,
            "environment": {"device": "cpu"},
            "lineage": {
                "text": {"source": {"source": "stories"}},
                "train": {"code": "t", "recipe": recipe()},
                "evaluate": {"code": "e"},
            },
        }
    )
    for arm, diverged in (("wd0", True), ("wd0.05", False))
}
CASES = [(where, 3) for where in WHERE if where != "control, some"] + [
    (where, 1) for where in WHERE if "all" in where
]


def everything(rows) -> dict[str, str]:
    """Each artefact's text, by name."""
    cells = judge(rows, LIMITS, QUESTION)
    claims = ledger({"a": Evidence(rows, QUESTION, LIMITS)})
    html = page(rows, RECORDS, QUESTION, LIMITS, "a study")
    made = {
        "verdict": markdown(cells, QUESTION, LIMITS, "a study"),
        "ledger": claims_text(claims, {"a": "verdict.md"}),
        "template": results_template(rows, RECORDS, QUESTION, LIMITS, "a study"),
        "page": re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL),
    }
    for name in FIGURES.keys() - {"mechanism", "pdr"}:  # in the page; drawn like the counts
        figure = draw(name, rows, LIMITS)
        save(figure, io.BytesIO(), "svg")
        made[f"figure {name}"] = " ".join(texts(figure))
    return {name: re.sub(r"\s+", " ", text) for name, text in made.items()}


@pytest.mark.parametrize(("where", "seeds"), CASES)
def test_every_artefact_is_made_and_names_the_divergence(where, seeds):
    made = everything(with_diverged(where, seeds))
    lost = f"diverged {seeds if 'all' in where else 1}/{seeds}"
    named = {name: "diverged" if name.startswith("figure") else lost for name in made}
    named["verdict"] = "| diverged |" if "all" in where else lost  # no tally where all agree
    assert [name for name, words in named.items() if words not in made[name]] == []
    assert [name for name, text in made.items() if re.search(r"\bnan\b|\bNone\b", text)] == []
