"""Fixtures: the service with its console, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from des_format.store import DesStore
from servers import KINDS, Servers

from console.browser import Browser, browsing
from console.samples import fill
from console.site import Site, serving, write_keys


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
    chromium.forget()
    assert [one for one in chromium.complaints if not chromium.is_expected(one)] == []
    asked = [url for url in chromium.requests if url.startswith(("http", "ws"))]  # others stay in the browser
    assert [url for url in asked if not url.startswith("http://127.0.0.1:")] == []


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with all samples; a test changes only a file that no other test uses."""
    folder = tmp_path_factory.mktemp("samples") / "store"
    fill(folder)
    return folder


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document of credentials with `READER`, `EDITOR` and `HURRIED`."""
    return write_keys(tmp_path_factory.mktemp("keys") / "keys.json")


@pytest.fixture(scope="session")
def site(samples: Path, key_file: Path) -> Iterator[Site]:
    """The service over all samples; everybody reads, and only who has a key deletes."""
    with serving(samples, authorized_keys_path=key_file, require_authentication=False, delete_api_key=None) as site:
        yield site


@pytest.fixture
def guarded(samples: Path, key_file: Path) -> Iterator[Site]:
    """The service over all samples, of which nobody sees anything without a key."""
    with serving(samples, authorized_keys_path=key_file, delete_api_key=None) as site:
        yield site


@pytest.fixture
def empty_site(tmp_path: Path) -> Iterator[Site]:
    """The service over a store without files."""
    DesStore.init(tmp_path / "store").close()
    with serving(tmp_path / "store") as site:
        yield site
