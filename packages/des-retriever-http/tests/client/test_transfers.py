"""Transfers from the real service over connections that break, and of files that are damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from des_format.errors import ChecksumMismatchError, EntryDeletedError
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions

from ..times import MORNING
from .cutting import cutting
from .either import Either

NOISE = Random(7).randbytes(1_000_000)
WORDS = b"".join(b"%d words " % number for number in range(100_000))

Connected = Callable[..., Either]


@pytest.fixture
def beside(store: DesStore, folder: Path) -> DesStore:
    """The store, opened so that large payloads lie beside their archives."""
    return DesStore.open(folder, options=StoreOptions(writing=ArchiveOptions(big_file_threshold=1000)))


def damage(folder: Path, payload: bytes) -> None:
    """Change one byte of a payload, wherever in the store it is."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if (at := data.find(payload)) >= 0:
            path.chmod(0o644)
            path.write_bytes(data[: at + 500] + bytes([data[at + 500] ^ 1]) + data[at + 501 :])
            return
    raise AssertionError("the payload is nowhere")


@pytest.mark.parametrize("kind", ["inline", "beside", "compressed"])
async def test_a_file_comes_whole_however_often_connections_break(
    connected: Connected, url: str, store: DesStore, beside: DesStore, kind: str
) -> None:
    payload = WORDS if kind == "compressed" else NOISE
    (beside if kind == "beside" else store).put("a", MORNING, payload)
    with cutting(url, 300, 100_000, 100_000, 0, 1, 500_000) as proxy:
        client = connected(proxy.url, timeout=5.0)
        head, pieces = await client.stream("a", MORNING)
        await client.close()
        assert proxy.connections >= 6
    assert head.size == len(payload)
    assert b"".join(pieces) == payload


@pytest.mark.parametrize("kind", ["inline", "beside"])
async def test_a_damaged_file_is_never_read_to_its_end(
    connected: Connected, url: str, store: DesStore, beside: DesStore, folder: Path, kind: str
) -> None:
    (beside if kind == "beside" else store).put("a", MORNING, NOISE)
    damage(folder, NOISE)
    pieces: list[bytes] = []
    with pytest.raises(ChecksumMismatchError):
        await connected(url).stream("a", MORNING, into=pieces)
    assert 0 < len(b"".join(pieces)) < len(NOISE)
    with pytest.raises(ChecksumMismatchError):
        await connected(url)("get", "a", MORNING)


async def test_small_damaged_files_are_told_at_once(
    connected: Connected, url: str, store: DesStore, folder: Path
) -> None:
    store.put("a", MORNING, NOISE[:5000])
    damage(folder, NOISE[:5000])
    for read in (connected(url)("get", "a", MORNING), connected(url).stream("a", MORNING)):
        with pytest.raises(ChecksumMismatchError, match="502 checksum_mismatch"):
            await read


async def test_a_file_that_is_deleted_while_it_is_read(connected: Connected, url: str, store: DesStore) -> None:
    store.put("a", MORNING, NOISE)
    with cutting(url, 200_000) as proxy:
        client = connected(proxy.url, timeout=5.0)

        class Deleting(list[bytes]):
            def append(self, piece: bytes) -> None:
                if not self:
                    store.delete("a", MORNING, reason="GDPR", by="me")
                super().append(piece)

        with pytest.raises(EntryDeletedError):
            await client.stream("a", MORNING, into=Deleting())
        await client.close()


async def test_batches_of_the_real_service(connected: Connected, url: str, store: DesStore, folder: Path) -> None:
    store.put_many([NewEntry(f"n/{number}", MORNING, b"%d" % number) for number in range(3000)])
    store.put("large", MORNING, NOISE)
    store.put("damaged", MORNING, NOISE[::-1])
    store.put("gone", MORNING, b"x")
    store.put("..", MORNING, b"dots")
    store.delete("gone", MORNING, reason="GDPR", by="me")
    damage(folder, NOISE[::-1])
    names = [f"n/{number}" for number in range(3000)]
    names[1000:1000] = ["damaged", "..", "large", "gone", "absent"]
    with cutting(url, 300, 40_000, 400_000, 0) as proxy:
        client = connected(proxy.url, timeout=5.0)
        files = await client.all("batch", [(name, MORNING) for name in names])
        await client.close()
    assert [file.uid for file in files] == names
    damaged, dots, large, gone, absent = files[1000:1005]
    assert (damaged.status, damaged.code, damaged.payload) == (502, "checksum_mismatch", None)
    assert (dots.read(), large.read()) == (b"dots", NOISE)
    assert (gone.status, gone.code, absent.status, absent.code) == (410, "entry_deleted", 404, "entry_not_found")
    assert [file.payload for file in files if file.uid.startswith("n/")] == [b"%d" % number for number in range(3000)]
    assert large.etag == (await connected(url)("meta", "large", MORNING)).etag
    assert await connected(url)("get", "..", MORNING) == b"dots"
