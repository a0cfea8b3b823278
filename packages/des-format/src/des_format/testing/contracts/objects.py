"""What an object store promises."""

from __future__ import annotations

import io
import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ...errors import (
    DesError,
    InvalidInputError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
    UnsupportedOperationError,
)
from ...ports.objects import AsyncObjectStore, GetOptions, NotModified, ObjectStore, PutResult, UpdateVersion, translate
from .bridge import SyncObjectStore

__all__ = ["AsyncObjectStoreContract", "ObjectStoreContract"]

UNSAFE_KEYS = [
    "",
    ".",
    "..",
    "/a",
    "a/",
    "a//b",
    "a/./b",
    "a/../b",
    "../a",
    "a\\b",
    "C:/a",
    "a\0b",
    ".a",
    "a/.b",
    ".a/b",
]


class ObjectStoreContract:
    """Promises of `des_format.ports.objects.ObjectStore`; override `store`.

    Attributes:
        can_update: Writes that expect a version are supported.
        has_unique_tags: No two versions of an object have the same etag, not even with equal content.
        lists_in_order: Listings are in the order of the keys.
        ignores_missing: Deleting a missing object is no error.
        reads_past_end: A range that starts at the object's end or after it is empty; otherwise it is an error.
        refuses_unsafe_keys: Keys that could leave a folder are refused.
        has_errors_of_ours: Errors are raised as `DesError`, not only translated to it.
    """

    can_update = True
    has_unique_tags = True
    lists_in_order = True
    ignores_missing = True
    reads_past_end = True
    refuses_unsafe_keys = True
    has_errors_of_ours = True

    @pytest.fixture
    def store(self) -> Iterator[ObjectStore]:
        """The store under test; it may hold other objects."""
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def base(self) -> str:
        """A prefix that only this test uses."""
        return f"contract-{secrets.token_hex(8)}"

    @contextmanager
    def fails(self, kind: type[DesError], key: str) -> Iterator[None]:
        """Expect an error that is, or translates to, `kind`."""
        with pytest.raises(Exception) as caught:  # noqa: PT011 a store of another library raises its own
            yield
        assert isinstance(translate(caught.value, key), kind), repr(caught.value)
        if self.has_errors_of_ours:
            assert isinstance(caught.value, kind)

    def keys(self, store: ObjectStore, prefix: str, offset: str | None = None) -> list[str]:
        found = [meta["path"] for chunk in store.list(prefix, offset=offset) for meta in chunk]
        return found if self.lists_in_order else sorted(found)

    def test_what_was_put_is_read(self, store: ObjectStore, base: str) -> None:
        key = f"{base}/a"
        put = store.put(key, b"content")
        result = store.get(key)
        meta = result.meta
        assert bytes(result.buffer()) == b"content"
        assert result.range == (0, 7)
        assert (meta["path"], meta["size"], meta["e_tag"]) == (key, 7, put["e_tag"])
        assert put["e_tag"]

    def test_head_and_list_agree_with_get(self, store: ObjectStore, base: str) -> None:
        store.put(f"{base}/a", b"content")
        meta = store.get(f"{base}/a").meta
        listed = [found for chunk in store.list(base) for found in chunk]
        for found in [store.head(f"{base}/a"), *listed]:
            assert (found["path"], found["size"], found["e_tag"]) == (meta["path"], meta["size"], meta["e_tag"])
        assert len(listed) == 1

    def test_last_modified_is_the_time_of_the_write(self, store: ObjectStore, base: str) -> None:
        for content in (b"one", b"two"):
            store.put(f"{base}/a", content)
            age = datetime.now(UTC) - store.head(f"{base}/a")["last_modified"]
            assert abs(age) < timedelta(minutes=5)

    def test_an_empty_object_is_an_object(self, store: ObjectStore, base: str) -> None:
        store.put(f"{base}/a", b"")
        assert bytes(store.get(f"{base}/a").buffer()) == b""
        assert store.head(f"{base}/a")["size"] == 0

    @pytest.mark.parametrize("kind", ["bytearray", "memoryview", "path", "file", "list", "iterator", "nothing"])
    def test_content_may_be_of_many_kinds(self, store: ObjectStore, base: str, tmp_path: Path, kind: str) -> None:
        content = b"0123456789" * 300_000
        (tmp_path / "content").write_bytes(content)
        pieces = [content[:10], content[10:11], content[11:]]
        makers: dict[str, Callable[[], Any]] = {
            "bytearray": lambda: bytearray(content),
            "memoryview": lambda: memoryview(content),
            "path": lambda: tmp_path / "content",
            "file": lambda: io.BytesIO(content),
            "list": lambda: pieces,
            "iterator": lambda: iter(pieces),
            "nothing": lambda: iter([]),
        }
        store.put(f"{base}/a", makers[kind]())
        assert bytes(store.get(f"{base}/a").buffer()) == (b"" if kind == "nothing" else content)

    def test_content_that_fails_changes_nothing(self, store: ObjectStore, base: str) -> None:
        def content() -> Iterator[bytes]:
            yield b"new"
            raise RuntimeError("the content is broken")

        store.put(f"{base}/a", b"old")
        for key in (f"{base}/a", f"{base}/b"):
            with pytest.raises(Exception, match="the content is broken"):
                store.put(key, content())
        assert bytes(store.get(f"{base}/a").buffer()) == b"old"
        assert self.keys(store, base) == [f"{base}/a"]

    def test_a_put_replaces(self, store: ObjectStore, base: str) -> None:
        for mode in (None, "overwrite"):
            for content in (b"one", b"a longer one", b""):
                store.put(f"{base}/a", content, mode=mode)
                assert bytes(store.get(f"{base}/a").buffer()) == content

    def test_a_new_version_has_a_new_tag(self, store: ObjectStore, base: str) -> None:
        contents = [b"a", b"b", b"c", b"a"] if self.has_unique_tags else [b"a", b"b", b"c"]
        tags = [store.put(f"{base}/a", content)["e_tag"] for content in contents]
        assert len(set(tags)) == len(tags)

    def test_create_never_replaces(self, store: ObjectStore, base: str) -> None:
        put = store.put(f"{base}/a", b"first", mode="create")
        with self.fails(ObjectExistsError, f"{base}/a"):
            store.put(f"{base}/a", b"second", mode="create")
        result = store.get(f"{base}/a")
        assert bytes(result.buffer()) == b"first"
        assert result.meta["e_tag"] == put["e_tag"]

    def test_of_many_who_create_one_wins(self, store: ObjectStore, base: str) -> None:
        def create(content: bytes) -> bool:
            try:
                store.put(f"{base}/a", content, mode="create")
            except Exception as error:
                if not isinstance(translate(error, base), ObjectExistsError):
                    raise
                return False
            return True

        contents = [f"writer {number}".encode() for number in range(8)]
        with ThreadPoolExecutor(len(contents)) as pool:
            won = list(pool.map(create, contents))
        assert won.count(True) == 1
        assert bytes(store.get(f"{base}/a").buffer()) == contents[won.index(True)]

    def test_update_replaces_the_expected_version_only(self, store: ObjectStore, base: str) -> None:
        first = store.put(f"{base}/a", b"first")
        if not self.can_update:
            with self.fails(UnsupportedOperationError, f"{base}/a"):
                store.put(f"{base}/a", b"second", mode=_version(first))
            return
        second = store.put(f"{base}/a", b"second", mode=_version(first))
        with self.fails(ObjectChangedError, f"{base}/a"):
            store.put(f"{base}/a", b"third", mode=_version(first))
        result = store.get(f"{base}/a")
        assert bytes(result.buffer()) == b"second"
        assert result.meta["e_tag"] == second["e_tag"]

    def test_update_of_a_missing_object_makes_none(self, store: ObjectStore, base: str) -> None:
        version = _version(store.put(f"{base}/a", b"first"))
        store.delete(f"{base}/a")
        with self.fails(ObjectChangedError if self.can_update else UnsupportedOperationError, f"{base}/a"):
            store.put(f"{base}/a", b"second", mode=version)
        assert self.keys(store, base) == []

    def test_no_update_is_lost(self, store: ObjectStore, base: str) -> None:
        if not self.can_update:
            return  # test_update_replaces_the_expected_version_only shows that it says so

        def add(line: bytes) -> None:
            # Which of those who lose are told so is not promised: Ceph leaves some in doubt, and these have to look.
            while line not in (content := bytes((result := store.get(f"{base}/a")).buffer())).splitlines():
                try:
                    store.put(f"{base}/a", content + line + b"\n", mode={"e_tag": result.meta["e_tag"]})
                except Exception as error:
                    if not isinstance(translate(error, base), ObjectChangedError | UnavailableError):
                        raise

        def add_all(lines: Sequence[bytes]) -> None:
            for line in lines:
                add(line)

        store.put(f"{base}/a", b"")
        lines = [[f"{writer} {number}".encode() for number in range(5)] for writer in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add_all, lines))
        assert sorted(bytes(store.get(f"{base}/a").buffer()).splitlines()) == list(itertools.chain(*lines))

    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            ((0, 3), (0, 3)),
            ((3, 7), (3, 7)),
            ((3, 50), (3, 10)),
            ({"offset": 4}, (4, 10)),
            ({"suffix": 4}, (6, 10)),
            ({"suffix": 40}, (0, 10)),
        ],
    )
    def test_a_range_is_half_open_and_cut_at_the_end(
        self, store: ObjectStore, base: str, chosen: Any, expected: tuple[int, int]
    ) -> None:
        store.put(f"{base}/a", b"0123456789")
        result = store.get(f"{base}/a", options={"range": chosen})
        assert bytes(result.buffer()) == b"0123456789"[slice(*expected)]
        assert result.range == expected
        assert result.meta["size"] == 10

    @pytest.mark.parametrize("chosen", [(10, 12), (50, 60), (4, 4)])
    def test_a_range_without_bytes_is_empty(self, store: ObjectStore, base: str, chosen: tuple[int, int]) -> None:
        store.put(f"{base}/a", b"0123456789")
        if self.reads_past_end:
            assert bytes(store.get(f"{base}/a", options={"range": chosen}).buffer()) == b""
        else:
            with self.fails(DesError, f"{base}/a"):
                store.get(f"{base}/a", options={"range": chosen})

    @pytest.mark.parametrize("chosen", [None, (1, 3), {"suffix": 2}])
    def test_a_read_may_expect_a_version(self, store: ObjectStore, base: str, chosen: Any) -> None:
        first = store.put(f"{base}/a", b"first")["e_tag"]
        options: GetOptions = {"if_match": first} if chosen is None else {"if_match": first, "range": chosen}
        assert store.get(f"{base}/a", options=options).meta["e_tag"] == first
        store.put(f"{base}/a", b"other")
        with self.fails(ObjectChangedError, f"{base}/a"):
            store.get(f"{base}/a", options=options)

    def test_a_read_may_expect_another_version(self, store: ObjectStore, base: str) -> None:
        first = store.put(f"{base}/a", b"first")["e_tag"]
        with self.fails(NotModified, f"{base}/a"):
            store.get(f"{base}/a", options={"if_none_match": first})
        store.put(f"{base}/a", b"other")
        assert bytes(store.get(f"{base}/a", options={"if_none_match": first}).buffer()) == b"other"

    def test_a_missing_object_is_not_found(self, store: ObjectStore, base: str) -> None:
        key = f"{base}/a"
        store.put(f"{base}/b/c", b"")
        for missing in (key, f"{base}/b/d", f"{base}/b"):
            with self.fails(ObjectNotFoundError, missing):
                store.get(missing)
            with self.fails(ObjectNotFoundError, missing):
                store.head(missing)
        with self.fails(ObjectNotFoundError, key):
            store.get(key, options={"range": (0, 1)})
        with self.fails(ObjectNotFoundError, key):
            store.get(key, options={"if_none_match": "x"})

    def test_a_prefix_is_made_of_whole_segments(self, store: ObjectStore, base: str) -> None:
        names = ["a/1", "a/2/3", "ab/1", "a-b", "a.b/c"]
        for name in names:
            store.put(f"{base}/{name}", b"")
        assert self.keys(store, base) == sorted(f"{base}/{name}" for name in names)
        assert self.keys(store, f"{base}/a") == [f"{base}/a/1", f"{base}/a/2/3"]
        assert self.keys(store, f"{base}/a/") == [f"{base}/a/1", f"{base}/a/2/3"]
        assert self.keys(store, f"{base}/a/1") == []
        assert self.keys(store, f"{base}/none") == []

    def test_without_a_prefix_everything_is_listed(self, store: ObjectStore, base: str) -> None:
        store.put(f"{base}/a", b"")
        for prefix in (None, ""):
            assert f"{base}/a" in [meta["path"] for chunk in store.list(prefix) for meta in chunk]

    def test_a_listing_can_begin_after_a_key(self, store: ObjectStore, base: str) -> None:
        keys = sorted(f"{base}/{name}" for name in ("a", "b/1", "b/2", "b-1", "c/1/1", "d"))
        for key in keys:
            store.put(key, b"")
        for offset in [*keys, f"{base}/b/0", f"{base}/0", f"{base}/z"]:
            assert self.keys(store, base, offset) == [key for key in keys if key > offset]
        assert self.keys(store, f"{base}/b", f"{base}/b/1") == [f"{base}/b/2"]

    def test_a_long_listing_is_complete(self, store: ObjectStore, base: str) -> None:
        keys = [f"{base}/{first}/{second:02d}" for first, second in itertools.product("abc", range(25))]
        for key in keys:
            store.put(key, b"")
        assert self.keys(store, base) == keys

    def test_a_deleted_object_is_gone(self, store: ObjectStore, base: str) -> None:
        keys = [f"{base}/a", f"{base}/b", f"{base}/c/d"]
        for key in [*keys, f"{base}/kept"]:
            store.put(key, b"")
        store.delete(keys[0])
        store.delete(keys[1:])
        store.delete([])
        assert self.keys(store, base) == [f"{base}/kept"]

    def test_a_missing_object_can_be_deleted(self, store: ObjectStore, base: str) -> None:
        store.put(f"{base}/b/c", b"")
        for keys in (f"{base}/a", [f"{base}/a", f"{base}/b"]):
            if self.ignores_missing:
                store.delete(keys)
            else:
                with self.fails(ObjectNotFoundError, f"{base}/a"):
                    store.delete(keys)
        assert self.keys(store, base) == [f"{base}/b/c"]

    def test_a_deleted_name_can_be_created_again(self, store: ObjectStore, base: str) -> None:
        tags = []
        for number in range(4):
            content = b"%d" % (0 if self.has_unique_tags else number)
            tags.append(store.put(f"{base}/a", content, mode="create")["e_tag"])
            store.delete(f"{base}/a")
        assert len(set(tags)) == len(tags)

    def test_a_read_is_of_one_version(self, store: ObjectStore, base: str) -> None:
        contents = [bytes([65 + number]) * (1000 + number) for number in range(8)]
        tags = {}

        def write(_: int) -> None:
            for content in contents:
                tags[store.put(f"{base}/a", content)["e_tag"]] = content

        seen = []
        tags[store.put(f"{base}/a", contents[0])["e_tag"]] = contents[0]
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write, 0)
            while not writing.done():
                result = store.get(f"{base}/a")
                seen.append((result.meta, bytes(result.buffer())))
            writing.result()
        for meta, data in seen:
            assert tags[meta["e_tag"]] == data
            assert meta["size"] == len(data)

    @pytest.mark.parametrize("name", ["with space", "größe", "日本", "a+b=c&d", "100%", "%2e", "12:30", "~", "x" * 200])
    def test_names_are_kept_as_they_are(self, store: ObjectStore, base: str, name: str) -> None:
        store.put(f"{base}/{name}", b"content")
        assert bytes(store.get(f"{base}/{name}").buffer()) == b"content"
        assert self.keys(store, base) == [f"{base}/{name}"]
        store.delete(f"{base}/{name}")
        assert self.keys(store, base) == []

    @pytest.mark.parametrize("key", UNSAFE_KEYS)
    def test_an_unsafe_key_is_refused(self, store: ObjectStore, key: str) -> None:
        if not self.refuses_unsafe_keys:
            return  # the store interprets keys in its own way, and has no folder to leave
        calls: Sequence[Callable[[], object]] = [
            lambda: store.put(key, b""),
            lambda: store.put(key, b"", mode="create"),
            lambda: store.get(key),
            lambda: store.head(key),
            lambda: store.delete(key),
            lambda: store.delete([key]),
        ]
        for call in calls:
            with self.fails(InvalidInputError, key):
                call()


class AsyncObjectStoreContract(ObjectStoreContract):
    """The same promises of `AsyncObjectStore`; override `async_store`, with a fixture that is synchronous itself."""

    @pytest.fixture
    def async_store(self) -> AsyncObjectStore:
        """The store under test; it is used from an event loop in another thread."""
        raise NotImplementedError("override the fixture `async_store`")

    @pytest.fixture
    def store(self, async_store: AsyncObjectStore) -> Iterator[ObjectStore]:
        with SyncObjectStore(async_store) as store:
            yield store


def _version(put: PutResult) -> UpdateVersion:
    # Stores without versions refuse the key, not only a value.
    version: UpdateVersion = {"e_tag": put["e_tag"]}
    if put["version"] is not None:
        version["version"] = put["version"]
    return version
