"""DES, in the variants that are measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

from des_format import Compression, DesReader, DesWriter

from .base import Items, System

__all__ = ["Des", "DesBalanced", "DesDictionary", "DesUnverified"]


class Des(System):
    title = "DES"
    kind = "des"
    compression: ClassVar[Compression | Literal["none", "balanced"]] = "none"
    verify: ClassVar[bool] = True

    def write(self, items: Items) -> None:
        with DesWriter(self.folder / "archive.des", compression=self.compression) as writer:
            add = writer.add_file
            for name, data in items:
                add(name, data)

    def open(self) -> None:
        self.reader = DesReader(self.folder / "archive.des", verify=self.verify)

    def getter(self) -> Callable[[str], bytes]:
        return self.reader.get_file

    def batch(self, names: list[str]) -> object:
        return self.reader.get_files_batch(names)

    def close(self) -> None:
        self.reader.close()


class DesUnverified(Des):
    title = "DES, `verify=False`"
    shares = Des
    verify = False


class DesBalanced(Des):
    title = "DES, balanced"
    compression = "balanced"


class DesDictionary(Des):
    title = "DES, balanced + dictionary"
    compression = Compression(dictionary="auto")
