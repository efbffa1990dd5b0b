"""Colours of the page: contrast by the formula of WCAG, in both schemes."""

import re

import pytest

from bitnet.report.colours import INKS, PAPER, TINT, contrast, variables
from bitnet.report.page import TEMPLATES


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48), ("#0000ff", "#ffffff", 8.59)],
)
def test_contrast_is_that_of_known_pairs(one, other, ratio):
    assert contrast(one, other) == contrast(other, one) == pytest.approx(ratio, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1])
@pytest.mark.parametrize("name", INKS)
def test_every_ink_is_legible_on_the_page_and_on_the_marked_row(name, scheme):
    for ground in (PAPER, TINT):
        assert contrast(INKS[name][scheme], ground[scheme]) >= 4.5


def test_the_style_takes_all_its_colours_from_them_and_fades_no_text():
    style = TEMPLATES["style.html"]
    named = set(re.findall(r"var\(--([a-z0-9{} .]+)\)", style)) - {
        "large",
        "small",
        "ends",
        "letters",
    }
    defined = {*re.findall(r"--(\w+):", variables(0)), "{{ name }}"}
    assert {"paper", "tint", "ink", "muted"} < named <= defined
    assert re.findall(r"#[0-9a-f]{3,8}\b(?=[;\s])|rgba?\(|hsl", style) == []
    assert re.findall(r"(?<![\w-])opacity:", style) == []
