"""Fixtures: the service with its console, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from des_format.store import DesStore
from servers import KINDS, Servers

from console.browser import Browser, browsing
from console.samples import fill
from console.site import Site, serving


@pytest.fixture(scope="session")
def chromium(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests; use `browser`."""
    if lacking := KINDS["chromium"].missing():
        pytest.skip(lacking)
    known = servers.get("chromium")
    with browsing(known["url"], known["binary"], tmp_path_factory.mktemp("downloads")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, as new; afterwards it must not have complained, nor asked anybody but the service for anything."""
    chromium.reset()
    yield chromium
    chromium.collect()
    assert [one for one in chromium.complaints if not chromium.is_expected(one)] == []
    asked = [url for url in chromium.requests if url.startswith(("http", "ws"))]  # others stay in the browser
    assert [url for url in asked if not url.startswith("http://127.0.0.1:")] == []


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The service over all samples, open to everybody; a test changes only a file that no other test uses."""
    folder = tmp_path_factory.mktemp("site") / "store"
    fill(folder)
    with serving(folder) as site:
        yield site


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """The service over a store without files."""
    DesStore.init(tmp_path / "store").close()
    with serving(tmp_path / "store") as site:
        yield site
