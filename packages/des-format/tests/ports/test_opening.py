"""Adapters are found by the scheme of a URL."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
from des_format.caches import MemoryIndexCache
from des_format.errors import ConfigurationError, StoreNotFoundError
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.ports import opening
from des_format.ports.opening import open_async_index_cache, open_index_cache, open_metadata, open_object_store
from des_format.testing import MemoryMetadata


def open_recorded(url: str) -> str:
    """What the entry points of these tests lead to."""
    return f"opened {url}"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def entry_points(group: str) -> EntryPoints:
        found = [EntryPoint(name, "unused:unused", group) for name in ("s3", "postgresql", "file", "memory")]
        return EntryPoints(found)

    monkeypatch.setattr(opening, "entry_points", entry_points)
    original = EntryPoint.load
    monkeypatch.setattr(
        EntryPoint, "load", lambda self: open_recorded if self.value == "unused:unused" else original(self)
    )


def test_a_folder_is_opened_by_path_or_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a folder 100% ü#?"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    for url in (
        folder,
        str(folder),
        folder.name,
        f"./{folder.name}",
        folder.as_uri(),
        f"file://localhost{folder.as_uri()[7:]}",
    ):
        store = open_object_store(url)
        assert isinstance(store, LocalObjectStore)
        assert store.root.samefile(folder)


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    for url in (tmp_path / "missing", (tmp_path / "missing").as_uri()):
        with pytest.raises(StoreNotFoundError):
            open_object_store(url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["file://server/share", "file://relative", "file:///a?b=c", "file:///a#b", "file://"])
def test_a_file_url_is_a_path_of_this_machine(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_object_store(url)


def test_one_name_is_one_store_in_memory() -> None:
    store = open_object_store("memory://test-opening")
    assert isinstance(store, MemoryObjectStore)
    assert open_object_store("memory://test-opening") is store
    assert open_object_store("memory://test-opening-2") is not store
    for url in ("memory://a/b", "memory://a?b=c"):
        with pytest.raises(ConfigurationError):
            open_object_store(url)


def test_other_schemes_come_from_entry_points(installed: None) -> None:
    opened: list[object] = [open_object_store("s3://bucket/x"), open_object_store("S3://bucket")]
    assert opened == ["opened s3://bucket/x", "opened S3://bucket"]
    opened = [open_metadata("postgresql+asyncpg://u@h/d")]
    assert opened == ["opened postgresql+asyncpg://u@h/d"]


def test_what_is_built_in_cannot_be_replaced(installed: None, tmp_path: Path) -> None:
    assert isinstance(open_object_store(tmp_path), LocalObjectStore)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is installed, as in an environment of des-format only."""
    monkeypatch.setattr("des_format.ports.opening.entry_points", lambda group: EntryPoints(()))


def test_an_unknown_scheme_names_what_to_install(alone: None) -> None:
    for url, words in {
        "s3://bucket": "pip install des-s3",
        "ftp://host": "known schemes are file, memory",
    }.items():
        with pytest.raises(ConfigurationError, match=words):
            open_object_store(url)
    with pytest.raises(ConfigurationError, match="pip install"):
        open_index_cache("redis://host")
    with pytest.raises(ConfigurationError, match="pip install"):
        open_metadata("postgresql+asyncpg://user:secret@host/db")


def test_an_error_does_not_show_a_password() -> None:
    for url in ("ftp://user:secret@host", "user:secret@host"):
        with pytest.raises(ConfigurationError) as caught:
            open_metadata(url)
        assert "secret" not in str(caught.value)


def test_a_cache_in_memory_has_a_size() -> None:
    for url, size in {
        "memory://": 64 << 20,
        "memory://?max_bytes=1000": 1000,
        "memory://?max_bytes=2KiB": 2048,
        "memory://?max_bytes=3 MiB": 3 << 20,
        "memory://?max_bytes=1gib": 1 << 30,
    }.items():
        cache = open_index_cache(url)
        assert isinstance(cache, MemoryIndexCache)
        assert cache.max_bytes == size


def test_options_reach_an_adapter_that_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def opener(url: str, *, registry: object = None) -> Any:
        return url, registry

    found = EntryPoints([EntryPoint("urls", "unused:unused", "any"), EntryPoint("s9", "unused:unused", "any")])
    monkeypatch.setattr(opening, "entry_points", lambda group: found)
    monkeypatch.setattr(EntryPoint, "load", lambda self: opener)
    opened: list[Any] = [open_object_store("s9://bucket", registry=7, unheard_of=8)]
    opened.append(open_async_index_cache("memory://,s9://host", registry=7))
    assert opened == [("s9://bucket", 7), ("memory://,s9://host", 7)]


def test_options_of_others_do_not_disturb_what_is_built_in() -> None:
    assert isinstance(open_object_store("memory://options", registry=7), MemoryObjectStore)
    assert isinstance(open_index_cache("memory://", registry=7), MemoryIndexCache)


def test_without_an_adapter_there_is_a_cache_in_memory_but_no_tiers(alone: None) -> None:
    assert isinstance(open_async_index_cache("memory://"), MemoryIndexCache)
    with pytest.raises(ConfigurationError, match="pip install des-cache"):
        open_async_index_cache("memory://,redis://user:secret@host")


@pytest.mark.parametrize(
    "rest", ["?max_bytes=", "?max_bytes=-1", "?max_bytes=1TB", "?size=1", "name", "?max_bytes=1.5MiB"]
)
def test_a_cache_in_memory_is_nothing_else(rest: str) -> None:
    with pytest.raises(ConfigurationError):
        open_index_cache(f"memory://{rest}")


def test_one_name_is_one_database_in_memory() -> None:
    metadata = open_metadata("memory://test-opening")
    assert isinstance(metadata, MemoryMetadata)
    assert open_metadata("memory://test-opening") is metadata
