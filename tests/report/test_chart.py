"""A chart as HTML: what is drawn, what is written, what a reader without eyes gets."""

import json
import math
import re

import pytest
from markupsafe import Markup

from bitnet.report.chart import Chart, Line

LINE = Line("a <b>", "treatment", [0, 50, 100], [1.0, 10.0, 100.0], label="a <b>")
CHART = Chart("cell", "counts", [LINE], 100, log=True, switches=[50], references={"text 100": 100})


def attribute(html: str, name: str) -> str:
    return Markup(re.search(f'{name}="([^"]*)"', html)[1]).unescape()


def test_a_curve_goes_through_its_points():
    """On a log axis 1, 10, 100 are evenly spaced; the last stands at the right edge."""
    path = re.search(r'class="mean treatment" d="M0 (\d+)L500 (\d+)L1000 (\d+)"', CHART.html())
    low, middle, high = map(int, path.groups())
    assert low > middle > high
    assert low - middle == pytest.approx(middle - high, abs=1) and middle == 500


def test_a_point_that_cannot_be_drawn_breaks_the_curve():
    line = Line("a", "ink", [0, 25, 50, 75, 100], [1, 10, math.nan, 0, 10])
    html = Chart("cell", "counts", [line], 100, log=True).html()
    path = re.search(r'class="mean ink" d="([^"]+)"', html)[1]
    assert re.findall("[ML]", path) == ["M", "L", "M"]
    assert "nan" not in html.lower()


def test_it_is_labelled_at_the_curves_axes_and_switch():
    html = CHART.html()
    spans = dict(re.findall(r'<span class="([\w ]+)" style="[^"]*">([^<]+)</span>', html))
    assert spans["end treatment"] == "a &lt;b&gt;" and spans["end muted"] == "text 100"
    assert spans["named"] == "switch"
    assert re.findall(r'<p class="axis[^"]*">([^<]+)</p>', html) == [
        "counts, log scale",
        "training step",
    ]
    assert "<b>" not in html


def test_its_text_alternative_says_what_the_curves_do():
    words = attribute(CHART.html(), "aria-label")
    assert "a <b>: from 1 to 100" in words and "switch at step 50" in words
    assert "counts" in words and "steps 0 to 100" in words and "text 100" in words


def test_it_carries_its_values_for_the_keyboard():
    last, (name, steps, values) = json.loads(attribute(CHART.html(), "data-lines"))
    assert (last, name, steps, values) == (100, "a <b>", [0, 50, 100], [1, 10, 100])


@pytest.mark.parametrize(("step", "names"), [(50, ["s", "b"]), (10, ["s"]), (90, ["s"]), (101, [])])
def test_a_switch_is_named_where_there_is_room_and_drawn_where_it_was_reached(step, names):
    chart = Chart("c", "u", [LINE], 100, switches=[step], switch="s", before="b")
    html = chart.html()
    assert re.findall(r'class="named"[^>]*>(\w)<', html) == names
    assert html.count('class="switch"') == bool(names) == ("at step" in chart.described())


def test_charts_can_share_an_axis():
    own = Chart("c", "u", [Line("a", "ink", [0, 9], [1, 2])], 9, among=[0, 10]).html()
    assert ">10</span>" in own and ">0</span>" in own


def test_a_chart_without_curves_is_still_one():
    assert 'role="img"' in Chart("c", "u", [], 0).html()
