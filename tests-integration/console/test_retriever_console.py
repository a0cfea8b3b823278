"""The console in a real browser: everything that it offers, by hand."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from des_format.store import DesStore

from console.browser import Browser
from console.samples import DAY, FILES, PAGED, PATH_NAME, fill
from console.site import EDITOR, Site, serving

pytestmark = pytest.mark.chromium


def downloaded(browser: Browser) -> tuple[str, bytes]:
    """The name and the bytes of what was saved; it must be one file."""

    def saved() -> list[Path]:
        found = list(browser.downloads.iterdir())
        return found if found and not any(path.suffix == ".crdownload" for path in found) else []

    (path,) = browser.wait(saved, "a download")
    data = path.read_bytes()
    path.unlink()
    return path.name, data


def button(browser: Browser, name: str) -> Any:
    return browser.named("button", name)


# Finding


def test_a_file_is_found_by_its_uid_and_day(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    browser.type("#uid", "letter.txt")
    browser.type("#created-at", DAY)
    button(browser, "Find").click()
    browser.wait_for_text("Dear archive,")
    assert browser.driver.current_url == site.file("letter.txt")
    assert browser.find("h1").text == "letter.txt"
    assert "Registry" in browser.text()
    assert '{"number":17,"open":true}' in browser.text()


def test_the_day_of_a_time_is_the_one_in_utc(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    browser.type("#uid", "letter.txt")
    browser.type("#created-at", "2025-11-24 23:30:00-05:00")
    browser.wait_for_text("Looks in the UTC day 2025-11-25.")
    browser.find("#created-at").send_keys("\n")
    browser.wait_for_text("Dear archive,")


@pytest.mark.parametrize(
    ("time", "advice"),
    [
        ("2025-11-25T10:00:00", "Add Z (UTC) or an offset"),
        ("yesterday", "This is no date"),
        ("2025-02-30", "This is no date"),
        ("", "Enter the day"),
    ],
)
def test_a_time_that_says_no_day_is_not_sent(browser: Browser, site: Site, time: str, advice: str) -> None:
    browser.open(site.page())
    browser.type("#uid", "letter.txt")
    browser.type("#created-at", time)
    asked = len(site.requests)
    button(browser, "Find").click()
    browser.wait_for_text(advice)
    assert browser.find("#created-at").get_attribute("aria-invalid") == "true"
    assert len(site.requests) == asked


def test_what_is_not_there_is_explained_with_a_way_on(browser: Browser, site: Site) -> None:
    browser.expected = {404}
    browser.open(site.file("no-such-file"))
    browser.wait_for_text("File not found")
    assert "entry_not_found" in browser.text()
    browser.named("a", f"See what is there on {DAY}").click()
    browser.wait_for_text("4 shards")


@pytest.mark.parametrize("address", ["#/nowhere", "#/constructor", "#/__proto__/x"])
def test_a_page_that_is_not_there_says_so(browser: Browser, site: Site, address: str) -> None:
    browser.open(site.page(address))
    browser.wait_for_text("There is no such page")


@pytest.mark.parametrize("uid", [".", ".."])
def test_a_uid_that_browsers_drop_is_not_asked_for(browser: Browser, site: Site, uid: str) -> None:
    asked = len(site.asked_for("/files"))
    browser.open(site.file(uid))
    browser.wait_for_text("A browser cannot ask for this uid")
    assert len(site.asked_for("/files")) == asked


# Browsing


def test_one_gets_from_a_day_by_its_shard_to_a_file(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    browser.named("nav a", "Browse").click()
    browser.wait_for_text("November 2025")
    browser.named("a", "Tue 25 November 2025").click()
    browser.wait_for_text("4 shards")
    browser.find("a.chip").click()
    browser.wait_for_text("Archives")
    link = browser.find("td a")
    uid = link.text
    link.click()
    browser.wait_for_text("Details")
    assert browser.find("h1").text == uid
    browser.driver.back()
    browser.wait_for_text("Archives")


def test_a_listing_is_narrowed_by_how_names_begin_and_paged(browser: Browser, site: Site) -> None:
    browser.open(site.page("#/browse/20251125/all"))
    browser.type("#prefix", "invoice/2025/\n")
    # Shard by shard, and in each by name.
    first = [stored.entry.name for stored in DesStore.open(site.folder).list("20251125", prefix="invoice/2025/")]
    assert len(first) == PAGED
    for start in range(0, PAGED, 50):
        expected = first[start : start + 50]
        browser.wait_for_links("td a", expected)
        if start + 50 < PAGED:
            browser.named("a", "Next page").click()
    assert [link.text for link in browser.all("main a") if link.text == "Next page"] == []
    browser.named("a", "First page").click()
    browser.wait_for_links("td a", first[:50])


def test_where_nothing_is_one_reads_what_to_do(browser: Browser, site: Site, empty_site: Site) -> None:
    browser.open(empty_site.page("#/browse"))
    browser.wait_for_text("The store is empty.")
    browser.open(site.page("#/browse/20251125/all?prefix=nothing"))
    browser.wait_for_text("No uid begins like that.")
    browser.open(site.page("#/browse/20200101"))
    browser.wait_for_text("Nothing was written on this day.")


# Taking, giving, deleting


@pytest.mark.parametrize(
    ("uid", "name"), [("letter.txt", "letter.txt"), ("page.html", "page.html"), (PATH_NAME, "passwd")]
)
def test_a_download_has_the_bytes_and_a_harmless_name(browser: Browser, site: Site, uid: str, name: str) -> None:
    browser.open(site.file(uid))
    browser.named("a", "Download").click()
    saved, data = downloaded(browser)
    assert saved.startswith(name)
    assert data == FILES[uid][0]


def test_a_link_can_be_read_without_credentials(browser: Browser, site: Site) -> None:
    browser.open(site.file("letter.txt"))
    button(browser, "Share").click()
    button(browser, "Make a link").click()
    url = browser.find("#share-url").get_property("value")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as answer:
        assert answer.read() == FILES["letter.txt"][0]
    assert "It ends 20" in browser.text()
    button(browser, "Close").click()
    browser.wait(lambda: browser.all("dialog[open]") == [], "the dialog to close")


def test_a_deletion_says_who_and_why_and_is_confirmed_by_name(browser: Browser, site: Site) -> None:
    browser.expected = {401, 410}
    browser.open(site.file("to-delete.txt"))
    button(browser, "Delete…").click()
    button(browser, "Continue…").click()
    browser.wait_for_text("Say who deletes it")
    browser.type("#deleted-by", "Ada")
    browser.named("select", "Reason").send_keys("GDPR")
    browser.type("#ticket", "T-7")
    button(browser, "Continue…").click()
    confirmation = browser.find("dialog[open]")
    assert "to-delete.txt" in confirmation.text
    button(browser, "Keep it").click()
    browser.wait(lambda: browser.all("dialog[open]") == [], "the dialog to close")
    assert [request for request in site.requests if request.method == "DELETE"] == []

    button(browser, "Delete…").click()
    browser.named("select", "Reason").send_keys("GDPR")
    browser.type("#ticket", "T-7")
    button(browser, "Continue…").click()
    button(browser, "Delete it for everybody").click()
    browser.wait_for_text("Unauthorized")
    button(browser, "Keep it").click()
    browser.enter_key(EDITOR)
    button(browser, "Delete…").click()
    browser.named("select", "Reason").send_keys("GDPR")
    browser.type("#ticket", "T-7")
    button(browser, "Continue…").click()
    button(browser, "Delete it for everybody").click()
    browser.wait_for_text("This file was deleted")
    history = browser.find("ol.history")
    assert [word for word in ("Ada", "GDPR", "T-7") if word not in history.text] == []
    browser.open(site.file("to-delete.txt"))
    browser.wait_for_text("This file was deleted")


# Figures, credentials, failures


def test_figures_are_live_and_rest_with_the_tab(browser: Browser, site: Site) -> None:
    browser.open(site.page("#/live"))
    browser.wait_for_text("Requests per second")
    asked = len(site.asked_for("/stats/live"))
    browser.wait(lambda: len(site.asked_for("/stats/live")) > asked + 1, "more figures")
    window = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    time.sleep(1)  # what was on its way
    asked = len(site.asked_for("/stats/live"))
    time.sleep(5)
    assert len(site.asked_for("/stats/live")) == asked
    browser.driver.close()
    browser.driver.switch_to.window(window)
    browser.wait(lambda: len(site.asked_for("/stats/live")) > asked, "figures again")


def test_a_service_that_is_gone_is_told_apart_from_a_file_that_is_not_there(browser: Browser, tmp_path: Path) -> None:
    fill(tmp_path / "store")
    with serving(tmp_path / "store") as site:
        browser.open(site.page())
    browser.type("#uid", "letter.txt")
    browser.type("#created-at", f"{DAY}\n")
    browser.wait_for_text("The service does not answer")
    browser.collect()
    browser.complaints = [one for one in browser.complaints if "ERR_CONNECTION_REFUSED" not in one]
