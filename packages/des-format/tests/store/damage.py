"""A store with everything that can be damaged, and ways to damage it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from des_format.store import ArchiveOptions, DesStore, StoreOptions
from des_format.store.model.keys import ObjectKind, classify

__all__ = ["Clock", "Shop", "cut", "drop", "flip", "keys_of", "read", "write"]

DAY = timedelta(days=1)


class Clock:
    """A clock that tests set."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


def read(objects: Any, key: str) -> bytes:
    return bytes(objects.get(key).buffer())


def write(objects: Any, key: str, data: bytes) -> None:
    objects.put(key, data)


def keys_of(objects: Any, kind: ObjectKind | None = None, day: str | None = None) -> list[str]:
    """Keys of the objects of a kind, in order."""
    keys = [meta["path"] for page in objects.list(day) for meta in page]
    return sorted(key for key in keys if kind is None or ((one := classify(key)) is not None and one.kind is kind))


def flip(objects: Any, key: str, at: float = 0.5) -> None:
    """Change one byte."""
    data = bytearray(read(objects, key))
    data[int(at * (len(data) - 1))] ^= 0x55
    write(objects, key, bytes(data))


def cut(objects: Any, key: str) -> None:
    """Lose the last bytes."""
    write(objects, key, read(objects, key)[:-9])


def drop(objects: Any, key: str) -> None:
    """Lose the object."""
    objects.delete([key])


class Shop:
    """A store of two shards a day, and a dict of what it should hold.

    Args:
        objects: An empty object store.
    """

    def __init__(self, objects: Any, n_bits: int = 1) -> None:
        self.objects = objects
        self.clock = Clock()
        self.options = StoreOptions(
            manifest_ttl_seconds=0, writing=ArchiveOptions(big_file_threshold=1000), clock=self.clock
        )
        self.store = DesStore.init(objects, n_bits=n_bits, options=self.options)
        self.model: dict[tuple[str, datetime], bytes] = {}
        self.deleted: set[tuple[str, datetime]] = set()

    def open(self, clock: Callable[[], datetime] | None = None, objects: Any = None) -> DesStore:
        """Open the store anew, as another process would."""
        options = self.options
        if clock is not None:
            options = StoreOptions(manifest_ttl_seconds=0, writing=options.writing, clock=clock)
        return DesStore.open(self.objects if objects is None else objects, options=options)

    def put(self, uid: str, data: bytes = b"", at: datetime | None = None, store: DesStore | None = None) -> None:
        """Add an entry, and let ten minutes pass."""
        request = (uid, at or self.noon)
        self.model[request] = data or f"payload of {uid}".encode()
        self.deleted.discard(request)
        (store or self.store).put(*request, self.model[request])
        self.clock.advance(minutes=10)

    def delete(self, uid: str, at: datetime | None = None, store: DesStore | None = None) -> None:
        """Delete an entry, and let ten minutes pass."""
        request = (uid, at or self.noon)
        (store or self.store).delete(*request, reason="asked for", by="tests")
        del self.model[request]
        self.deleted.add(request)
        self.clock.advance(minutes=10)

    @property
    def noon(self) -> datetime:
        return datetime(2025, 11, 25, 12, tzinfo=UTC)

    def fill(self) -> None:
        """Make objects of every kind: segments, retained archives, big files, records of deletions."""
        for number in range(36):
            self.put(f"{2 * number}")
        self.put("big", b"x" * 5000)
        self.put("1")
        self.put("3", at=self.noon + DAY)
        self.delete("4")
        self.delete("1")

    def check(self, store: DesStore | None = None) -> None:
        """Compare what a fresh reader finds with what it should."""
        reader = store or self.open()
        assert reader.get_many(self.model) == self.model
        assert not reader.get_many(self.deleted)
