"""What object stores promise that copy the beginning of a new object by themselves."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from ...errors import ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from ...ports.objects import Assembles, Front

__all__ = ["AssemblesContract"]


class AssemblesContract:
    """Promises of `des_format.ports.objects.Assembles`; override `store`, which is an `ObjectStore` as well."""

    @pytest.fixture
    def store(self) -> Any:
        """The store under test; it may hold other objects."""
        raise NotImplementedError("override the fixture `store`")

    @pytest.fixture
    def base(self) -> str:
        """A prefix that only this test uses."""
        return f"contract-{secrets.token_hex(8)}"

    @pytest.fixture
    def content(self, store: Any) -> bytes:
        """Content of two copied parts, and a bit."""
        assert isinstance(store, Assembles)
        return os.urandom(2 * store.least_front_bytes + 1000)

    @pytest.mark.parametrize("over", [-1, 0, 1, 1000])
    def test_an_object_begins_with_bytes_of_another(
        self, store: Any, base: str, content: bytes, tmp_path: Path, over: int
    ) -> None:
        e_tag = store.put(f"{base}/a", content)["e_tag"]
        rest = tmp_path / "rest"
        rest.write_bytes(b"and more")
        length = 2 * store.least_front_bytes + over
        made = store.assemble(f"{base}/b", Front(f"{base}/a", length, e_tag), rest)
        found = store.get(f"{base}/b")
        assert bytes(found.buffer()) == content[:length] + b"and more"
        assert found.meta["e_tag"] == made["e_tag"]
        assert bytes(store.get(f"{base}/a").buffer()) == content

    def test_a_long_rest_follows(self, store: Any, base: str, content: bytes) -> None:
        store.put(f"{base}/a", content)
        store.assemble(f"{base}/b", Front(f"{base}/a", len(content), None), content)
        assert bytes(store.get(f"{base}/b").buffer()) == content + content

    def test_it_never_replaces(self, store: Any, base: str, content: bytes) -> None:
        e_tag = store.put(f"{base}/a", content)["e_tag"]
        store.put(f"{base}/b", b"there")
        with pytest.raises(ObjectExistsError):
            store.assemble(f"{base}/b", Front(f"{base}/a", len(content), e_tag), b"more")
        assert bytes(store.get(f"{base}/b").buffer()) == b"there"

    def test_another_version_is_refused(self, store: Any, base: str, content: bytes) -> None:
        e_tag = store.put(f"{base}/a", content)["e_tag"]
        store.put(f"{base}/a", content[::-1])
        for length in (2 * store.least_front_bytes, len(content)):
            with pytest.raises(ObjectChangedError):
                store.assemble(f"{base}/b", Front(f"{base}/a", length, e_tag), b"more")
        assert not list(store.list(base, offset=f"{base}/a"))

    def test_a_missing_object_is_not_found(self, store: Any, base: str, content: bytes) -> None:
        with pytest.raises(ObjectNotFoundError):
            store.assemble(f"{base}/b", Front(f"{base}/a", len(content), None), b"more")
        assert not list(store.list(base))

    async def test_it_is_done_asynchronously(self, store: Any, base: str, content: bytes) -> None:
        e_tag = store.put(f"{base}/a", content)["e_tag"]
        await store.assemble_async(f"{base}/b", Front(f"{base}/a", len(content), e_tag), b"more")
        assert bytes(store.get(f"{base}/b").buffer()) == content + b"more"
