"""How the console shows files, in a real browser: as what they are, and never as what they claim to be."""

from __future__ import annotations

import json

import pytest

from console.browser import Browser
from console.samples import BIDI_NAME, FILES, HTML, JSON, MARKUP_NAME, PATH_NAME, SVG
from console.site import Site

pytestmark = pytest.mark.chromium


@pytest.mark.parametrize("uid", [MARKUP_NAME, PATH_NAME, "a/meta"])
def test_any_name_is_shown_as_it_is(browser: Browser, site: Site, uid: str) -> None:
    browser.open(site.file(uid))
    browser.wait_for_text(FILES[uid][0].decode())
    assert browser.find("h1").text == uid
    assert browser.all("main img") == []


def test_characters_that_turn_or_hide_a_name_are_shown_by_their_number(browser: Browser, site: Site) -> None:
    browser.open(site.file(BIDI_NAME))
    browser.wait_for_text("first bytes")
    assert browser.find("h1").text == "invoiceU+202Egnp.exe"


def test_json_is_indented_and_no_number_is_rounded(browser: Browser, site: Site) -> None:
    browser.open(site.file("order.json"))
    shown = browser.find("pre").text
    assert '  "id": 12345678901234567890,\n  "price": 1.10,\n  "a": 1,\n  "a": [],\n' in shown
    assert "\\u00e9" in shown
    assert json.loads(shown) == json.loads(JSON)


def test_a_picture_is_shown(browser: Browser, site: Site) -> None:
    browser.open(site.file("scan-7.png"))
    picture = browser.find(".preview img")
    browser.wait(lambda: picture.get_property("naturalWidth") == 320, "the picture")
    assert picture.get_attribute("src").startswith("blob:")


def test_a_pdf_is_shown_by_the_viewer_of_the_browser(browser: Browser, site: Site) -> None:
    browser.open(site.file("lease.pdf"))
    assert browser.find(".preview iframe").get_attribute("src").startswith("blob:")

    def viewer() -> bool:
        targets = browser.cdp("Target.getTargets", filter=[{}])["targetInfos"]
        return any(
            target["url"].startswith("chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai") for target in targets
        )

    browser.wait(viewer, "the viewer")


@pytest.mark.parametrize(("uid", "source"), [("page.html", HTML), ("image.svg", SVG), ("liar.png", HTML)])
def test_what_could_run_is_shown_as_its_source(browser: Browser, site: Site, uid: str, source: bytes) -> None:
    browser.open(site.file(uid))
    assert browser.find("pre").text == source.decode()
    assert browser.driver.title.startswith(uid)
    assert browser.all("main img, main iframe") == []


@pytest.mark.parametrize(
    ("uid", "shown"),
    [
        ("empty", "The file is empty."),
        ("octets", "0010  10 11 12 13"),
        ("cut.png", "This picture is damaged"),
        ("latin.txt", "café"),
    ],
)
def test_what_is_special_is_shown_as_what_it_is(browser: Browser, site: Site, uid: str, shown: str) -> None:
    browser.open(site.file(uid))
    browser.wait_for_text(shown)


def test_of_a_long_text_only_the_beginning_is_read(browser: Browser, site: Site) -> None:
    browser.open(site.file("long.txt"))
    browser.wait_for_text("The first 256.0 KiB of 488.3 KiB.")
    (asked,) = [request for request in site.asked_for("/files/long.txt") if request.path.endswith(".txt")]
    assert (asked.status, asked.sent_bytes) == (206, 256 * 1024)


def test_a_player_seeks_by_ranges(browser: Browser, site: Site) -> None:
    browser.open(site.file("noise.wav"))
    player = browser.find(".preview audio")
    browser.wait(lambda: player.get_property("duration") == 600, "the player to know how long it is")
    seek = "const [player] = given; player.currentTime = 590; await new Promise((done) => player.onseeked = done);"
    browser.run(seek + "return player.currentTime", player)
    browser.wait(lambda: player.get_property("readyState") >= 2, "sound at the new position")
    parts = [request for request in site.asked_for("/files/noise.wav") if "range" in request.headers]
    assert {request.status for request in parts} <= {206, 304}  # it asks whether what it has is still the same
    assert max(int(request.headers["range"][6:].split("-")[0]) for request in parts) > 9_000_000


@pytest.mark.parametrize(
    "text", ["{}", "[]", '[{"a":[]},"\\\\",[1,-2.50e+10,true,null],"]{,:\\"x"]', ' {"a" :\n1}', JSON.decode()]
)
def test_indented_json_is_the_same_json(browser: Browser, site: Site, text: str) -> None:
    browser.open(site.page())
    pretty = browser.run("return (await import('./json.js')).prettyJson(given[0])", text)
    assert json.loads(pretty) == json.loads(text)
    assert pretty == text or "\n  " in pretty


@pytest.mark.parametrize("text", ["", "12", '"text"', "{", '{"a":1}}', "{'a':1}", "[1,]", "[NaN]"])
def test_what_is_no_json_to_indent_is_left_alone(browser: Browser, site: Site, text: str) -> None:
    browser.open(site.page())
    assert browser.run("return (await import('./json.js')).prettyJson(given[0])", text) is None
