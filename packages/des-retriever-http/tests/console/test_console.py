"""The console's files, and how they are served."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from importlib.resources import files

import httpx
import pytest
from des_retriever_http.routes.console import console_routes
from starlette.applications import Starlette

FOLDER = files("des_retriever_http") / "ui"
SOURCES = {one.name: one.read_text(encoding="utf-8") for one in FOLDER.iterdir() if one.is_file()}
SCRIPTS = sorted(name for name in SOURCES if name.endswith(".js"))


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the console alone."""
    transport = httpx.ASGITransport(Starlette(routes=console_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://des") as client:
        yield client


async def test_the_page_is_served_with_a_policy_that_allows_nothing_but_this_service(client: httpx.AsyncClient) -> None:
    page = await client.get("/ui/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("name", sorted(SOURCES))
async def test_each_file_has_its_type_and_the_same_protection(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/ui/{name}")
    types = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}
    assert answer.status_code == 200
    assert answer.text == SOURCES[name]
    assert answer.headers["content-type"].split(";")[0] == types[name.rsplit(".", 1)[1]]
    assert answer.headers["content-security-policy"] == (await client.get("/ui/")).headers["content-security-policy"]


async def test_a_file_that_the_browser_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/ui/main.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get("/ui/main.js", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    other = await client.get("/ui/main.js", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


async def test_head_tells_what_get_would_send(client: httpx.AsyncClient) -> None:
    answer = await client.head("/ui/console.css")
    assert answer.content == b""
    assert int(answer.headers["content-length"]) == len(SOURCES["console.css"].encode())


async def test_the_address_without_a_slash_leads_to_the_page_below_any_prefix(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ui")
    assert answer.status_code == 308
    assert answer.headers["location"] == "ui/"


@pytest.mark.parametrize("path", ["no.js", "../settings/__init__.py", "%2e%2e/app.py", "main.js/", "/etc/passwd"])
async def test_nothing_else_is_served(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/ui/{path}")
    assert answer.status_code == 404


async def test_it_can_only_be_read(client: httpx.AsyncClient) -> None:
    assert (await client.post("/ui/")).status_code == 405


def test_it_is_small() -> None:
    assert sum(len(text.encode()) for text in SOURCES.values()) < 60 * 1024


def test_the_page_has_no_script_or_style_of_its_own() -> None:
    page = SOURCES["index.html"]
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=|javascript:", page)
    assert [name for name in re.findall(r'(?:src|href)="([^"#]+)"', page) if name not in SOURCES] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_parses_markup_or_text_as_code(name: str) -> None:
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|createContextualFragment"
    assert re.findall(rf"{markup}|\beval\b|\bFunction\(", SOURCES[name]) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_keeps_anything_longer_than_the_tab(name: str) -> None:
    assert re.findall(r"localStorage|indexedDB|cookie|caches\.|serviceWorker", SOURCES[name]) == []


def test_no_file_names_another_server() -> None:
    named = {url for text in SOURCES.values() for url in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"`]*", text)}
    assert named == {"http://www.w3.org/2000/svg"}


def test_every_import_names_a_file_of_the_console() -> None:
    imported = {name for script in SCRIPTS for name in re.findall(r"from '\./([\w.]+)'", SOURCES[script])}
    assert imported | {"main.js"} == set(SCRIPTS)
