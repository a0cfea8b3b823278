"""The two published DES systems, from the folder that holds clones of their repositories."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from .base import Items, Missing, System, require
from .shards import load_without_init

__all__ = ["FOLDER_VARIABLE", "Datavision", "DesCore"]

FOLDER_VARIABLE = "DES_BENCH_PUBLISHED"
# This system refuses these characters in names.
_REPLACED = str.maketrans({character: chr(1 + number) for number, character in enumerate('/\\:*?"<>|')})


def add_to_path(source: str) -> None:
    """Make a clone's packages importable.

    Raises:
        Missing: No folder was named, or it has no such clone.
    """
    top = os.environ.get(FOLDER_VARIABLE)
    if not top:
        raise Missing(f"{FOLDER_VARIABLE} names no folder")
    folder = Path(top, source)
    if not folder.is_dir():
        raise Missing(f"{FOLDER_VARIABLE} has no {source}")
    sys.path.insert(0, str(folder))


class Datavision(System):
    title = "Datavision DES"
    reader: ClassVar[Any]
    writer: ClassVar[Any]

    @classmethod
    def load(cls) -> None:
        add_to_path("Datavision-Easy-Store/src")
        core = require("des.core")
        cls.reader = core.DesReader
        cls.writer = core.DesWriter

    def write(self, items: Items) -> None:
        writer = self.writer(str(self.folder / "a.des"))
        for name, data in items:
            writer.add_file(name.translate(_REPLACED), data)
        writer.close()

    def open(self) -> None:
        self._opened = self.reader(str(self.folder / "a.des"))

    def getter(self) -> Callable[[str], bytes]:
        get = self._opened.get_file
        return lambda name: get(name.translate(_REPLACED))

    def batch(self, names: list[str]) -> object:
        return self._opened.get_files_batch([name.translate(_REPLACED) for name in names])

    def close(self) -> None:
        self._opened.close()


class DesCore(System):
    title = "des_core"
    shards: ClassVar[Any]
    compression: ClassVar[Any]

    @classmethod
    def load(cls) -> None:
        add_to_path("DES/src")
        cls.shards = load_without_init("des_core", "des_core.shard_io")
        cls.compression = load_without_init("des_core", "des_core.compression")

    def write(self, items: Items) -> None:
        config = self.compression.CompressionConfig(codec=self.compression.CompressionCodec("none"))
        with self.shards.ShardWriter(self.folder / "a.des", compression=config) as writer:
            for name, data in items:
                writer.add_file(name, data)

    def open(self) -> None:
        self._opened = self.shards.ShardReader.from_path(self.folder / "a.des")

    def getter(self) -> Callable[[str], bytes]:
        return self._opened.read_file  # type: ignore[no-any-return]

    def close(self) -> None:
        self._opened.__exit__(None, None, None)
