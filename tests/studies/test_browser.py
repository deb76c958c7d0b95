"""The report in Chromium: it loads without an error or a request, sorts, filters, and stays text."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = "chromium", "chromedriver"


def absent(what: str) -> None:
    """Skips, visibly; fails where a browser is required."""
    reason = f"{what} is not installed: apt-get install chromium chromium-driver, pip install selenium"
    if os.environ.get("CMRBIAS_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        from selenium import webdriver
    except ImportError:
        absent("selenium")
    paths = {name: shutil.which(name) for name in (CHROMIUM, DRIVER)}
    for name, path in paths.items():
        if path is None:
            absent(name)
    options = webdriver.ChromeOptions()
    options.binary_location = paths[CHROMIUM]
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=paths[DRIVER])
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, finished_study: Path) -> Any:
    """The report, freshly loaded at the width of a desk."""
    width(browser, 1280)
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get((finished_study / "report.html").as_uri())
    return browser


def width(driver: Any, pixels: int) -> None:
    metrics = {"width": pixels, "height": 900, "deviceScaleFactor": 1, "mobile": pixels < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def choose(driver: Any, name: str, value: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(driver.find_element("id", name)).select_by_value(value)


def shown(driver: Any, what: str) -> list[str]:
    script = f"return [...document.querySelectorAll('#cases > li')].map((item) => item.dataset.{what})"
    found: list[str] = driver.execute_script(script)
    return found


def requests(driver: Any) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("data:", "file:"))]


def test_it_loads_without_an_error_or_a_request(page: Any) -> None:
    assert len(shown(page, "aks")) == 8
    assert page.get_log("browser") == []
    assert requests(page) == []


def test_it_sorts_by_aks_both_ways(page: Any) -> None:
    down = [float(value) for value in shown(page, "aks") if value]
    assert down == sorted(down, reverse=True)
    assert len(set(down)) > 1
    choose(page, "order", "up")
    assert [float(value) for value in shown(page, "aks") if value] == down[::-1]


def test_it_filters_by_class_and_by_model(page: Any) -> None:
    choose(page, "class", "well & good")
    assert shown(page, "label") == ["well & good"] * 4
    assert page.find_element("id", "count").text == "4 of 4 cases"
    before = shown(page, "aks")
    choose(page, "model", "SimCLR, shown full")
    assert shown(page, "label") == ["well & good"] * 4
    assert shown(page, "aks") != before
    choose(page, "row", "CM -> ACDC")
    assert page.execute_script("return document.querySelector('#cases h3').textContent").startswith("ACDC")


def test_maps_and_masks_can_be_switched_off(page: Any) -> None:
    def pixels() -> str:
        found: str = page.execute_async_script(
            "const done = arguments[0], look = () => { const c = document.querySelector('#cases canvas');"
            "c.width === 112 ? done(c.toDataURL()) : setTimeout(look, 20); }; look();"  # once it is drawn
        )
        return found

    with_both = pixels()
    page.find_element("id", "map").click()
    without_map = pixels()
    page.find_element("id", "mask").click()
    assert len({with_both, without_map, pixels()}) == 3


def test_names_are_text(page: Any) -> None:
    assert page.title == "<script>document.title = 'changed'</script>"
    assert page.execute_script("return document.querySelectorAll('b, img[src=x]').length") == 0
    assert "<b>ill</b>" in page.find_element("id", "class").text


def test_the_keyboard_reaches_everything(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    reached = set()
    for _ in range(80):
        ActionChains(page).send_keys(Keys.TAB).perform()
        active = page.switch_to.active_element
        reached.add(active.get_attribute("id") or active.get_attribute("class") or active.tag_name)
    assert {"skip", "row", "model", "class", "order", "map", "mask", "summary", "scroll"} <= reached


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("pixels", [1280, 390])
def test_it_fits_a_phone_in_either_theme(page: Any, theme: str, pixels: int) -> None:
    width(page, pixels)
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    assert page.execute_script("return document.documentElement.scrollWidth") <= pixels
    colours = page.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    ink, back = (sum(map(int, c[c.index("(") + 1 : -1].split(",")[:3])) for c in colours)
    assert (ink > back) == (theme == "dark")
    assert abs(ink - back) > 500  # of 765
