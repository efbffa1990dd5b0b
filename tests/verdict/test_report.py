"""What a verdict says in words: its headline and its tables."""

from bitnet.verdict.headline import headline
from bitnet.verdict.report import markdown
from tests.helpers.tables import LIMITS, OUTCOMES, QUESTION, TWINS, other, verdict


def test_the_headline_names_its_cell_its_twin_and_the_other_optimizer():
    healthy = OUTCOMES["no effect (nothing to fix)"].assign(Optimizer="adamw")
    cells = verdict(OUTCOMES["fixed"], TWINS["no"], healthy)
    text = headline(cells, QUESTION)
    assert text.startswith("Stage-2 WD 0 instead of 0.05 fixed degenerate decoding (hidden 256")
    assert "diverse 5/5 with WD 0 (88.8 distinct predictions of 4,096" in text
    assert "collapsed 5/5 with WD 0.05 (8.2 distinct" in text
    assert "over 5 seeds" in text and "95% interval" in text
    assert "It is not about ternary; the twin (adam, full_precision): fixed" in text
    assert "with adamw: no effect (nothing to fix)" in text


def test_a_study_without_its_headline_cell_says_so():
    cells = verdict(OUTCOMES["fixed"].assign(HiddenSize=512))
    assert not cells["Headline"].any()
    assert "no runs of the headline cell (hidden_size 256" in headline(cells, QUESTION)


def test_the_headline_takes_the_weight_decays_from_the_question():
    question = other(QUESTION, treatment=0.01)
    rows = OUTCOMES["fixed"].replace({"Stage2WD": {0.0: 0.01}})
    text = headline(verdict(rows, question=question), question)
    assert text.startswith("Stage-2 WD 0.01 instead of 0.05 fixed")


def test_the_markdown_has_aligned_tables_that_fit_a_terminal():
    parts = [OUTCOMES["fixed"], TWINS["no"], OUTCOMES["harmful"].assign(HiddenSize=512)]
    lines = markdown(verdict(*parts), QUESTION, LIMITS, "Weight decay").splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) == 3 * (3 + 2) + (2 + 4) + (2 + 3)  # cells, recommendation, size
    for one in (tables[:5], tables[5:10], tables[10:15], tables[15:21], tables[21:]):
        assert len({len(line) for line in one}) == 1  # padded to one width
    assert max(map(len, lines)) <= 110
    assert lines[0] == "# Weight decay"
