"""The page of a study: what it says, and what it does in a real browser without a network."""

import re
import shutil
from html.parser import HTMLParser

import pytest

from bitnet.evaluation.record import RunRecord
from bitnet.figures.rows import prepared
from bitnet.report.interactive import curves
from bitnet.report.page import page
from bitnet.verdict.headline import headline
from bitnet.verdict.rule import judge
from tests.helpers.figures import LIMITS, diverging, study
from tests.helpers.tables import QUESTION

ARM = "Stage2WD 0, ternary"  # an entry of the legend
RECORD = RunRecord.from_dict(
    {
        "data": "1234abcd5678",
        "seconds": 60.0,
        "tokens_per_second": 1000,
        "environment": {"device": "cpu", "torch": "2.13.0", "python": "3.11.7", "commit": "abc"},
        "lineage": {"text": {"source": "<b>stories</b>"}, "train": {"code": "t"}, "evaluate": {}},
    }
)


@pytest.fixture(scope="module")
def rows():
    return study((256,))


@pytest.fixture(scope="module")
def html(rows) -> str:
    return page(rows, {f"run{i}": RECORD for i in range(24)}, QUESTION, LIMITS, "small")


class Links(HTMLParser):
    """What a page would fetch, and the alternatives to its images."""

    def __init__(self):
        super().__init__()
        self.fetched, self.alt = [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag in ("script", "link", "img", "iframe"):
            self.fetched += [found[key] for key in ("src", "href") if found.get(key)]
        if tag == "img":
            self.alt.append(found.get("alt"))


def test_the_page_holds_everything_it_shows(html):
    links = Links()
    links.feed(html)
    assert links.fetched and all(link.startswith("data:") for link in links.fetched)
    assert links.alt and all(links.alt)
    for section in ("states", "curves", "why", "claims", "cost", "provenance", "not-run"):
        assert f'<section id="{section}"' in html


def test_the_answer_is_the_verdicts_headline(html, rows):
    answer = re.search(r'id="answer">(.*?)</p>', html, re.DOTALL)[1]
    assert answer == headline(judge(rows, LIMITS, QUESTION), QUESTION)


def test_cost_is_that_of_the_records_and_text_from_outside_stays_text(html):
    assert "24 runs took 24.0 minutes" in html
    assert "&lt;b&gt;stories" in html and "<b>stories" not in html


def test_curves_hold_the_tables_values_a_seed_and_their_mean(rows):
    """Counts are (seed + 1) * 4, tenfold after the switch with WD 0: means by hand."""
    figure = curves("unique_predictions", prepared(rows), LIMITS)
    arm = [trace for trace in figure.data if trace.name == ARM and trace.hovertemplate]
    seeds = [trace for trace in arm if "seed 1" in trace.hovertemplate]
    means = [trace for trace in arm if "mean of 3 seeds" in trace.hovertemplate]
    assert len(seeds) == len(means) == 2  # adam and adamw
    assert list(seeds[0].x) == [300, 400, 500, 600] and list(seeds[0].y) == [8, 80, 80, 80]
    assert means[0].y[-1] == pytest.approx(10 * 4 * (1 * 2 * 3) ** (1 / 3))
    assert [trace.showlegend for trace in means] == [True, False]  # an entry for both panels
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("name", ["unique_predictions", "loss"])
def test_every_curve_lies_within_its_axes(rows, name):
    figure = curves(name, prepared(rows), LIMITS)
    low, high = figure.layout.yaxis.range
    heights = [y for trace in figure.data for y in trace.y if y is not None]
    if figure.layout.yaxis.type == "log":
        low, high = 10**low, 10**high
    assert low < min(heights) and max(heights) < high
    assert high - low < 2 * (max(heights) - min(heights))


def test_a_run_that_diverged_is_out_of_the_mean():
    figure = curves("loss", prepared(diverging(500)), LIMITS)
    [mean] = [t for t in figure.data if t.name == ARM and t.showlegend]
    assert "mean of 2 seeds" in mean.hovertemplate
    assert list(mean.y) == [5.5] * 4


# --- in a browser ---


@pytest.fixture(scope="module")
def browser():
    paths = shutil.which("chromium"), shutil.which("chromedriver")
    if not all(paths):
        pytest.skip("no chromium and chromedriver on PATH")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND",  # no network
        "--window-size=1280,900",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(paths[1]))
    yield driver
    driver.quit()


def test_a_browser_shows_it_without_a_network_or_a_complaint(browser, html, tmp_path):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    browser.get(path.as_uri())
    WebDriverWait(browser, 30).until(
        lambda driver: len(driver.find_elements(By.CSS_SELECTOR, ".plotly svg.main-svg")) >= 2
    )
    plot = browser.find_element(By.ID, "unique_predictions")

    # A legend entry switches its arm in all panels.
    def shown() -> int:
        return browser.execute_script(
            "return document.getElementById('unique_predictions')._fullData.filter("
            "t => t.legendgroup === 'Stage2WD 0, ternary' && t.visible === true).length"
        )

    before = shown()
    assert before == 2 * (1 + 3 + 1)  # two panels: band, seeds, mean
    entries = plot.find_elements(By.CSS_SELECTOR, ".legendtoggle")
    names = [e.text for e in plot.find_elements(By.CSS_SELECTOR, ".legendtext")]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    ActionChains(browser).move_to_element(entries[names.index(ARM)]).click().perform()
    WebDriverWait(browser, 10).until(lambda _: shown() == 0)

    # Hovering a point says step, value and seed.
    browser.execute_script(
        "const p = document.getElementById('unique_predictions');"
        "const i = p._fullData.findIndex(t => (t.hovertemplate || '').includes('seed 1'));"
        "Plotly.Fx.hover(p, [{curveNumber: i, pointNumber: 1}])"
    )
    said = WebDriverWait(browser, 10).until(
        lambda _: plot.find_element(By.CSS_SELECTOR, ".hoverlayer").text
    )
    assert "step 100: 8" in said and "seed 1" in said

    # A phone scrolls tables and figures, never the page.
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert browser.get_log("browser") == []
