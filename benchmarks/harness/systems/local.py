"""LMDB, and the archives of the standard library."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any, ClassVar

from .base import Items, System, require

__all__ = ["Lmdb", "TarIndex", "ZipStored"]


class Lmdb(System):
    title = "LMDB"
    kind = "database"
    lmdb: ClassVar[Any]

    @classmethod
    def load(cls) -> None:
        cls.lmdb = require("lmdb")

    def _environment(self, **options: Any) -> Any:
        return self.lmdb.open(str(self.folder / "data.mdb"), subdir=False, map_size=2**36, **options)

    def write(self, items: Items) -> None:
        environment = self._environment()
        items = iter(items)
        while batch := list(itertools.islice(items, 10_000)):
            with environment.begin(write=True) as transaction:
                for name, data in batch:
                    transaction.put(name.encode(), data)
        environment.close()

    def open(self) -> None:
        self._opened = self._environment(readonly=True, lock=False)
        self._transaction = self._opened.begin()

    def getter(self) -> Callable[[str], bytes]:
        get = self._transaction.get
        return lambda name: get(name.encode())

    def batch(self, names: list[str]) -> object:
        with self._transaction.cursor() as cursor:
            found = dict(cursor.getmulti([name.encode() for name in names]))
        return [found[name.encode()] for name in names]

    def close(self) -> None:
        self._transaction.abort()
        self._opened.close()


class TarIndex(System):
    title = "tar + pickled index"

    def write(self, items: Items) -> None:
        places = {}
        with tarfile.open(self.folder / "a.tar", "w") as tar:
            for name, data in items:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
                tar.members = []  # type: ignore[attr-defined]  # It would keep a header for each.
                places[name] = (len(data), tar.offset - -(-len(data) // 512) * 512)
        (self.folder / "a.index").write_bytes(pickle.dumps(places))

    def open(self) -> None:
        self._places = pickle.loads((self.folder / "a.index").read_bytes())
        self._handle = os.open(self.folder / "a.tar", os.O_RDONLY)

    def getter(self) -> Callable[[str], bytes]:
        places, handle, pread = self._places, self._handle, os.pread
        return lambda name: pread(handle, *places[name])

    def close(self) -> None:
        os.close(self._handle)


class ZipStored(System):
    title = "zipfile, stored"

    def write(self, items: Items) -> None:
        with zipfile.ZipFile(self.folder / "a.zip", "w") as archive:
            for name, data in items:
                archive.writestr(zipfile.ZipInfo(name), data)

    def open(self) -> None:
        self._archive = zipfile.ZipFile(self.folder / "a.zip")

    def getter(self) -> Callable[[str], bytes]:
        return self._archive.read

    def close(self) -> None:
        self._archive.close()
