"""The console for everybody: contrast, names, keyboard, narrow screens; and credentials, which must not stay."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from console.browser import Browser
from console.samples import BIDI_NAME, DAY, LONG_NAME
from console.site import EDITOR, HURRIED, READER, Site

pytestmark = pytest.mark.chromium

AUDIT = Path(__file__).with_name("audit.js").read_text(encoding="utf-8")
VIEWS = {
    "find": ("#/", "Browse what is there"),
    "text": (f"#/file/letter.txt?created_at={DAY}T00:00:00Z", "Nothing is recorded"),
    "octets": (f"#/file/octets?created_at={DAY}T00:00:00Z", "Its first bytes"),
    "missing": (f"#/file/no-such-file?created_at={DAY}T00:00:00Z", "File not found"),
    "refused": ("#/file/letter.txt?created_at=2025-11-25T00:00:00", "Invalid created_at"),
    "damaged": ("#/file/%E0%A4%A", "This address is damaged"),
    "unknown": ("#/nowhere", "There is no such page"),
    "days": ("#/browse", "November 2025"),
    "shards": ("#/browse/20251125", "4 shards"),
    "entries": ("#/browse/20251125/all", "Next page"),
    "shard": ("#/browse/20251125/0", "Archives"),
    "live": ("#/live", "Requests per second"),
}
WITH_ROLES = {
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "radio",
    "dialog",
    "navigation",
    "image",
}


def names(browser: Browser) -> list[tuple[str, str]]:
    """Role and name of each element, as the browser tells assistive technology."""
    nodes = browser.cdp("Accessibility.getFullAXTree")["nodes"]
    told = [node for node in nodes if not node["ignored"]]
    return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in told]


def press(browser: Browser, *keys: str) -> None:
    ActionChains(browser.driver).send_keys(*keys).perform()


def focused(browser: Browser) -> Any:
    return browser.driver.switch_to.active_element


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_each_view_can_be_read_and_used_by_everybody(browser: Browser, site: Site, view: str, scheme: str) -> None:
    address, text = VIEWS[view]
    browser.expected = {400, 404}
    browser.prefer(color_scheme=scheme, reduced_motion="reduce")
    browser.open(site.page(address))
    browser.wait_for_text(text)
    for width in (1280, 360):
        browser.resize(width)
        assert browser.driver.execute_script(AUDIT) == []
    assert [one for one in names(browser) if one[0] in WITH_ROLES and one[1] == ""] == []


@pytest.mark.parametrize("width", [320, 640, 768, 1000, 1920])
@pytest.mark.parametrize("view", ["text", "entries", "live"])
def test_no_width_cuts_anything_off(browser: Browser, site: Site, view: str, width: int) -> None:
    address, text = VIEWS[view]
    browser.resize(width)
    browser.open(site.page(address))
    browser.wait_for_text(text)
    assert browser.driver.execute_script(AUDIT) == []


@pytest.mark.parametrize("uid", [LONG_NAME, BIDI_NAME])
def test_a_name_of_any_length_stays_within_a_narrow_screen(browser: Browser, site: Site, uid: str) -> None:
    browser.resize(360)
    browser.open(site.file(uid))
    browser.wait_for_text("History")
    assert browser.driver.execute_script(AUDIT) == []
    browser.named("button", "Delete…").click()
    browser.wait_for_text("Deleted by")
    assert browser.driver.execute_script(AUDIT) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("opener", ["Credentials", "Share…", "Delete…"])
def test_a_dialog_is_for_everybody_too(browser: Browser, site: Site, opener: str, scheme: str) -> None:
    browser.prefer(color_scheme=scheme, reduced_motion="reduce")
    browser.open(site.file("letter.txt"))
    browser.wait_for_text("Dear archive,")
    button = browser.named("button", opener)
    button.send_keys(Keys.ENTER)
    dialog = browser.find("dialog[open]")
    assert dialog.accessible_name
    assert browser.driver.execute_script("return arguments[0].contains(document.activeElement)", dialog)
    assert browser.driver.execute_script(AUDIT) == []
    assert [one for one in names(browser) if one[0] in WITH_ROLES and one[1] == ""] == []
    press(browser, Keys.ESCAPE)
    browser.wait(lambda: browser.all("dialog[open]") == [], "the dialog to close")
    assert focused(browser) == button


def test_the_keyboard_is_enough_and_shows_where_it_is(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    browser.wait_for_text("Find a file")
    press(browser, Keys.TAB)
    assert focused(browser).text == "Skip to the content"
    press(browser, Keys.ENTER)
    assert focused(browser).tag_name == "main"
    press(browser, Keys.TAB, "letter.txt", Keys.TAB, DAY, Keys.TAB)
    assert focused(browser).accessible_name == "Find"
    outline = "const style = getComputedStyle(document.activeElement); return [style.outlineStyle, style.outlineWidth]"
    assert browser.driver.execute_script(outline) == ["solid", "3px"]
    press(browser, Keys.ENTER)
    browser.wait_for_text("Dear archive,")
    assert focused(browser).tag_name == "h1"


def test_news_are_told_to_those_who_do_not_see_them(browser: Browser, site: Site) -> None:
    browser.open(site.file("letter.txt"))
    browser.wait_for_text("Dear archive,")
    status = browser.all("#status")[0]
    assert (status.aria_role, status.get_property("textContent")) == ("status", "File found")
    browser.expected = {404}
    browser.open(site.file("no-such-file"))
    assert browser.find(".problem").aria_role == "alert"


def test_nothing_moves_for_those_who_do_not_want_it(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    moving = (
        "return [...document.querySelectorAll('*')].some((one) => getComputedStyle(one).transitionDuration !== '0s')"
    )
    assert browser.driver.execute_script(moving)
    browser.prefer(reduced_motion="reduce")
    assert not browser.driver.execute_script(moving)


def test_a_key_is_sent_in_a_header_and_forgotten_with_the_page(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    browser.enter_key(READER, keep=False)
    browser.type("#uid", "letter.txt")
    browser.type("#created-at", f"{DAY}\n")
    browser.wait_for_text("Dear archive,")
    assert site.asked_for("/files/letter.txt/meta")[-1].headers["x-api-key"] == READER
    assert [one for one in site.requests if READER in one.path + one.query] == []
    assert browser.driver.execute_script("return [sessionStorage.length, localStorage.length, document.cookie]") == [
        0,
        0,
        "",
    ]
    browser.driver.refresh()
    browser.named("button", "Credentials")


def test_a_key_that_is_kept_survives_loading_again_and_goes_when_asked(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    browser.enter_key(READER, keep=True)
    browser.driver.refresh()
    browser.named("button", "API key in use").click()
    browser.named("input", "Nothing").click()
    browser.named("button", "Use it").click()
    browser.named("button", "Credentials")
    assert browser.driver.execute_script("return sessionStorage.length") == 0


def test_what_cannot_be_a_key_is_not_sent(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    browser.named("button", "Credentials").click()
    browser.named("input", "A bearer token").click()
    browser.type("#secret", "ключ")
    browser.named("button", "Use it").click()
    browser.wait_for_text("It is made of letters, digits and signs")


def test_files_are_taken_with_credentials_too(browser: Browser, site: Site) -> None:
    browser.open(site.page())
    browser.enter_key(READER, keep=True)
    browser.open(site.file("letter.txt"))
    browser.named("button", "Download").click()
    browser.wait(lambda: list(browser.downloads.glob("letter*.txt")), "the download")
    (saved,) = browser.downloads.glob("letter*.txt")
    assert saved.read_bytes().startswith(b"Dear archive,")
    saved.unlink()
    browser.open(site.file("noise.wav"))
    browser.named("button", "Show it (9.2 MiB)").click()
    player = browser.find(".preview audio")
    browser.wait(lambda: player.get_property("duration") == 600, "the player to know how long it is")
    assert all("x-api-key" in one.headers for one in site.asked_for("/files/")[-3:])


def test_who_has_no_key_is_asked_for_one_and_then_reads_on(browser: Browser, guarded: Site) -> None:
    browser.expected = {401}
    browser.open(guarded.file("letter.txt"))
    browser.wait_for_text("Authentication required")
    assert "Dear archive," not in browser.text()
    assert {one.status for one in guarded.asked_for("/files/")} == {401}
    browser.named("button", "Enter credentials").click()
    browser.named("input", "An API key").click()
    browser.type("#secret", "a-wrong-key")
    browser.named("button", "Use it").click()
    browser.wait_for_text("the key is not known here")
    browser.named("button", "Enter credentials").click()
    browser.type("#secret", READER)
    browser.named("button", "Use it").click()
    browser.wait_for_text("Dear archive,")
    browser.wait_for_text("Nothing is recorded")
    assert browser.all("[role=alert].problem") == []
    browser.named("a", "Browse").click()
    browser.wait_for_text("November 2025")


def test_a_key_that_may_not_delete_is_told_so_and_another_one_can_be_entered(browser: Browser, guarded: Site) -> None:
    browser.expected = {401, 403, 410}
    browser.open(guarded.page())
    browser.enter_key(READER)
    browser.type("#uid", "to-delete-with-a-key.txt")
    browser.type("#created-at", f"{DAY}\n")
    browser.named("button", "Delete…").click()
    browser.type("#deleted-by", "Ada")
    browser.named("button", "Continue…").click()
    browser.named("button", "Delete it for everybody").click()
    browser.wait_for_text("it takes write")
    card = browser.find("dialog .problem")
    assert "These credentials do not allow it" in card.text
    assert browser.driver.execute_script(AUDIT) == []
    browser.named("button", "Enter other credentials").click()
    browser.type("#secret", EDITOR)
    browser.named("button", "Use it").click()
    browser.named("button", "Delete it for everybody").click()
    browser.wait_for_text("This file was deleted")
    browser.wait_for_text("Ada")


def test_a_key_that_is_used_up_says_when_to_come_back(browser: Browser, guarded: Site) -> None:
    browser.expected = {401, 429}
    browser.open(guarded.page())
    browser.enter_key(HURRIED)
    browser.named("a", "Browse").click()
    browser.wait_for_text("November 2025")
    browser.named("a", "Find").click()
    browser.named("a", "Browse").click()
    browser.wait_for_text("Rate limit exceeded: 1 requests an hour")
    (row,) = [one for one in browser.all(".problem dl > div") if one.text.startswith("Come back")]
    told = re.search(r"in (\d+) minutes, at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", row.text)
    assert told is not None, row.text
    at = datetime.strptime(told[2], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    ahead = (at - datetime.now(UTC)).total_seconds()
    assert 0 < ahead <= 3600
    assert abs(int(told[1]) - ahead / 60) < 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_refusals_can_be_read_by_everybody(browser: Browser, guarded: Site, scheme: str) -> None:
    browser.expected = {401}
    browser.prefer(color_scheme=scheme)
    browser.open(guarded.page("#/browse"))
    browser.wait_for_text("Authentication required")
    for width in (1280, 320):
        browser.resize(width)
        assert browser.driver.execute_script(AUDIT) == []
    assert [one for one in names(browser) if one[0] in WITH_ROLES and one[1] == ""] == []
