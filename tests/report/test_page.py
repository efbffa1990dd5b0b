"""The page of a study: what stands where, and what it is made of."""

import dataclasses
import re

import pytest

from bitnet.report.page import html_of, visible
from bitnet.report.panels import MOST_PANELS
from bitnet.report.why import WHY, named
from bitnet.verdict.headline import below, headline
from bitnet.verdict.rule import judge
from tests.helpers.figures import LIMITS, diverging, study
from tests.helpers.pages import RECORD, Page, made
from tests.helpers.recipes import recipe
from tests.helpers.tables import FIVE_HIGH, FIVE_LOW, LOSS, QUESTION, cell, other


@pytest.fixture(scope="module")
def rows():
    return study((256,))


@pytest.fixture(scope="module")
def html(rows) -> str:
    return made(rows, records={f"run{i}": RECORD for i in range(24)})


def test_the_first_part_holds_question_answer_three_lines_and_the_chart(html, rows):
    cells = judge(rows, LIMITS, QUESTION)
    assert re.search(r'id="answer">(.*?)</p>', html, re.DOTALL)[1] == headline(cells, QUESTION)
    lines = re.findall("<li>(.*?)</li>", html.split('id="below"')[1].split("</ul>")[0])
    assert lines == below(cells, QUESTION, LIMITS) and len(lines) == 3
    places = [path for path, _ in Page(html).found]
    first = [path.split("#first ")[1] for path in places if "#first " in path]
    wanted = ("h1", "p#answer", "ul#below", "figure#shows")
    at = [next(i for i, path in enumerate(first) if path.endswith(name)) for name in wanted]
    assert at == sorted(at)
    before = places.index(next(p for p in places if p.endswith("table")))
    assert before > places.index(next(p for p in places if p.endswith("figure#shows")))


def test_the_chart_names_its_curves_with_the_verdicts_values_and_the_switch(html):
    """Counts of three seeds are 4, 8 and 12, tenfold with WD 0."""
    chart = html.split('id="shows"')[1].split("</figure>")[0]
    assert re.search(r'class="end treatment"[^>]*>WD 0: 80<', chart)
    assert re.search(r'class="end control"[^>]*>WD 0.05: 8<', chart)
    assert ">switch: weight decay changes</span>" in chart and ">stage 1, shared</span>" in chart
    assert ">distinct predictions, log scale</p>" in chart and ">training step</p>" in chart
    assert ">collapsed &lt; 10</span>" in chart and ">diverse &gt; 50</span>" in chart


def test_a_healthier_optimizer_stands_beside_in_grey(rows, html):
    """Both optimizers of the made-up study do the same, until adamw is made diverse."""
    own = rows["Optimizer"] == "adamw"
    counts = rows["UniquePredictions"].mask(own, rows["UniquePredictions"] * 16)
    better = made(rows.assign(UniquePredictions=counts, ValLoss=rows["ValLoss"].mask(own, 3.0)))
    label = re.compile(r'class="end muted"[^>]*>adamw<')
    charts = better.split('id="evidence"')[0].split('role="img"')[1:]
    assert len(charts) > 5 and all(label.search(chart) for chart in charts)
    assert "recommended" in better.split("</figcaption>")[0].split("Grey:")[1]
    assert not label.search(html) and "Grey:" not in html


def test_every_chart_can_be_reached_by_the_keyboard_and_heard(html):
    plots = Page(html).of("plot")
    assert len(plots) > 10
    for plot in plots:
        assert plot["tabindex"] == "0" and plot["role"] == "img"
        assert len(plot["aria-label"]) > 40 and "switch" in plot["aria-label"]
    assert "WD 0: from 8 to 72.7" not in plots[0]["aria-label"]
    assert "WD 0: from 7.27 to 72.7" in plots[0]["aria-label"]  # geometric means


def test_the_headlines_row_is_first_and_marked_and_says_its_outcome_in_words(html, rows):
    table = html.split('class="cells"')[1].split("</table>")[0]
    first, *others = table.split("<tbody>")[1].split("<tr")[1:]
    assert "headline" in first and "hidden 256 adam ternary" in first
    assert not any('class="headline"' in row for row in others) and len(others) == 3
    outcome = judge(rows, LIMITS, QUESTION).set_index("Headline").loc[True, "Outcome"]
    assert f"<b>{outcome}</b> <span>" in first
    assert "Collapsed: under 10 distinct predictions" in html.split("</table>")[1]


def test_reasons_are_sentences_beside_charts(html):
    assert set(WHY) < set(named())
    why = html.split('id="why"')[1].split('id="evidence"')[0]
    for heading, text in WHY.values():
        reason = why.split(f"<h3>{heading}</h3>")[1].split('class="reason"')[0]
        assert text in reason and "Medians over the steps: " in reason
        assert reason.count('role="img"') == 1


def test_evidence_lies_behind_folds_and_nothing_before_it_does(html):
    paths = [path for path, _ in Page(html).found]
    folds = ("curves", "statistics", "claims", "cost", "provenance", "not-run")
    assert all(any(path.endswith(f"#evidence details#{name}") for path in paths) for name in folds)
    assert not any("details" in path for path in paths if "#states" in path or "#first" in path)


def test_it_is_one_small_file_without_a_network(html):
    assert len(html.encode()) < 400_000
    assert {*Page(html).links} == {"data:,"}
    assert re.findall(r"https?:|//\w+\.|@import|url\(", html) == []


def test_text_from_outside_stays_text_and_shows_what_would_be_unseen(html):
    assert "&lt;b&gt;stories" in html and "<b>stories" not in html
    assert "\\u001b[2J\\u202e" in html and not set("\x1b\u202e") & {*html}
    assert visible("a\n\tb\x00\x9b") == "a\n\tb\\x00\\x9b"
    assert "<img" not in html_of("a <img src=x> [b](javascript:c)") + html_of("<img src=x>")
    assert "<script>x" not in made(study((256,), seeds=1), title="<script>x</script>")
    assert "<b>a\\x1b[2J</b>" in made(study((256,), seeds=1), title="a\x1b[2J")


def test_cost_names_both_stages():
    """A trunk of two arms: its steps at the speed of its stage 2, counted once."""
    assert "1 runs took 1.0 minutes" in made(study((256,), seeds=1))
    asked = recipe()
    training = asked["training"]
    tokens = training["wd_switch"] * training["batch_size"] * training["sequence_length"]
    records = {
        str(decay): dataclasses.replace(
            RECORD,
            tokens_per_second=tokens / 120,
            lineage={
                **RECORD.lineage,
                "train": {
                    "code": "t",
                    "recipe": {**asked, "training": {**training, "stage2_weight_decay": decay}},
                },
            },
        )
        for decay in (0.0, 0.05)
    }
    text = made(study((256,), seeds=1), records=records)
    assert "Stage 2 of 2 runs took 2.0 minutes" in text
    assert "about 2.0 minutes for 1 trunks" in text


CASES = {
    "one seed": (study((256,), seeds=1), QUESTION, "distinct predictions"),
    "no switch in common": (diverging(500), QUESTION, "distinct predictions"),
    "blind": (study((256,), Blind=True), QUESTION, "PDR: diversity"),
    "other metric": (cell(8, FIVE_LOW, FIVE_HIGH), other(QUESTION, **LOSS), "validation loss"),
    "no headline": (study((512,)), QUESTION, "distinct predictions"),
    "a third arm": (study((256,), decays=(0.05, 0.0, 0.01)), QUESTION, "distinct predictions"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_page_of_any_study_shows_both_arms(name):
    rows, question, unit = CASES[name]
    html = made(rows, question)
    found = Page(html)
    chart = html.split('id="shows"')[1].split("</figure>")[0]
    assert f'<p class="axis up">{unit}' in chart
    assert {"end treatment", "end control"} <= {*re.findall(r'class="(end \w+)"', chart)}
    assert not re.search(
        r"\bnan\b|\bNone\b|\bNaN\b", found.text + "".join(map(str, found.of("plot")))
    )


def test_a_large_study_is_shown_in_aggregate():
    """Panels for the cells nearest to the headline's, rows for all, no curve a run."""
    many = study(range(250, 250 + 2 * 8, 2), seeds=13)
    html = made(many)
    assert html.count("<tr") > 32 and Page(html).of("run") == []
    assert html.count("<figcaption>hidden") == 2 * MOST_PANELS
    assert "8 more are in the table" in html
    assert len(html.encode()) < 600_000
