"""The page of a study in a real browser, without a network."""

import itertools
import shutil

import pytest

from tests.helpers.figures import study
from tests.helpers.pages import made


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


def emulate(browser, width: int, height: int, scheme: str = "light") -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 900}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(made(study((256,))), encoding="utf-8")
    browser.get(path.as_uri())
    return browser


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (820, 1180), (390, 700)])
def test_the_first_screen_holds_the_chart_and_nothing_scrolls_sideways(opened, width, height):
    emulate(opened, width, height)
    edges = opened.execute_script(
        "const box = e => document.querySelector(e).getBoundingClientRect();"
        "return [box('#shows .axis.below').bottom, box('.headline .outcome').right,"
        " document.documentElement.scrollWidth]"
    )
    assert edges[0] <= height and edges[1] <= width and edges[2] <= width
    assert opened.get_log("browser") == []


def test_no_label_of_a_chart_lies_on_another_or_off_the_screen(opened):
    for width in (1280, 390):
        emulate(opened, width, 844)
        opened.execute_script("document.querySelectorAll('details').forEach(e => e.open = true)")
        charts = opened.execute_script(
            "return [...document.querySelectorAll('.plot')]"
            ".map(p => [...p.querySelectorAll('.end')]"
            ".map(e => e.getBoundingClientRect()).map(b => [b.top, b.bottom, b.right]))"
        )
        for labels in charts:
            labels.sort()
            assert all(right <= width for _, _, right in labels)
            for (_, bottom, _), (top, _, _) in itertools.pairwise(labels):
                assert bottom <= top + 2  # pixels of the letters' own margin


def test_arrow_keys_read_out_the_values_of_a_step(opened):
    from selenium.webdriver.common.keys import Keys

    emulate(opened, 1280, 800)
    plot = opened.find_element("css selector", "#shows .plot")
    plot.send_keys(Keys.END)
    said = opened.find_element("css selector", "#shows output").text
    assert said.startswith("step 600") and "WD 0 72.68 (40 to 120)" in said
    plot.send_keys(Keys.HOME, Keys.ARROW_RIGHT)
    assert opened.find_element("css selector", "#shows output").text.startswith("step 100")
    plot.send_keys(Keys.ESCAPE)
    assert opened.find_elements("css selector", "#shows output") == []


def test_dark_is_dark_and_paper_is_light_with_all_folds_open(opened):
    ground = "return getComputedStyle(document.body).backgroundColor"
    emulate(opened, 1280, 800, "dark")
    assert opened.execute_script(ground) == "rgb(20, 23, 26)"
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert opened.execute_script(ground) == "rgb(255, 255, 255)"
    opened.execute_script("document.querySelectorAll('details').forEach(e => e.open = false)")
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    closed = "return document.querySelectorAll('details:not([open])').length"
    assert opened.execute_script(closed) == 0
    opened.execute_script("dispatchEvent(new Event('afterprint'))")
    assert opened.execute_script(closed) > 4
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
