"""What the demo packs the same files with: DES itself, tar with an index in memory, and zip."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from des_format import DesReader, DesWriter

from .files import Content

__all__ = ["DesArchive", "Packer", "TarWithIndex", "ZipArchive"]


Sources = Iterable[tuple[str, Content]]


class Packer(ABC):
    """One way to pack files into a folder of its own, and to read them back by name.

    Attributes:
        label: What the table calls it.
        folder: Where its files lie; nobody else writes there.
    """

    def __init__(self, label: str, folder: Path) -> None:
        self.label = label
        self.folder = folder
        folder.mkdir()

    @abstractmethod
    def write(self, sources: Sources) -> None:
        """Pack everything; durable on return."""

    @abstractmethod
    def open(self) -> Callable[[str], bytes]:
        """Open what was written and return the function that reads one entry."""

    @abstractmethod
    def close(self) -> None:
        """Close what `open` opened."""

    def stored_bytes(self) -> int:
        """Bytes of all files that `write` made."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


class DesArchive(Packer):
    """A DES archive; payloads over 10 MiB lie beside it."""

    def __init__(self, label: str, folder: Path, compression: Literal["none", "balanced"]) -> None:
        super().__init__(label, folder)
        self.path = folder / "demo.des"
        self._compression = compression

    def write(self, sources: Sources) -> None:
        with DesWriter(self.path, compression=self._compression) as writer:
            for name, content in sources:
                if isinstance(content, bytes):
                    writer.add_file(name, content)
                else:
                    writer.add_stream(name, content)

    def open(self) -> Callable[[str], bytes]:
        self._reader = DesReader(self.path)
        return self._reader.get_file

    def close(self) -> None:
        self._reader.close()


class TarWithIndex(Packer):
    """An uncompressed tar file, its headers read once into a dictionary, then positioned reads."""

    def write(self, sources: Sources) -> None:
        path = self.folder / "demo.tar"
        with tarfile.open(path, "w") as tar:
            for name, content in sources:
                stream = io.BytesIO(content) if isinstance(content, bytes) else content
                member = tarfile.TarInfo(name)
                member.size = stream.seek(0, io.SEEK_END)
                stream.seek(0)
                tar.addfile(member, stream)
                tar.members = []  # type: ignore[attr-defined]  # It would keep a header for each.
        sync_file(path)

    def open(self) -> Callable[[str], bytes]:
        path = self.folder / "demo.tar"
        with tarfile.open(path, "r:") as tar:
            places = {member.name: (member.size, member.offset_data) for member in tar}
        self._file = path.open("rb", buffering=0)
        handle = self._file.fileno()
        if not hasattr(os, "pread"):
            return lambda name: self._seek_and_read(*places[name])
        return lambda name: os.pread(handle, *places[name])

    def _seek_and_read(self, size: int, offset: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


class ZipArchive(Packer):
    """A zip file of the standard library, stored or deflated."""

    def __init__(self, label: str, folder: Path, method: int) -> None:
        super().__init__(label, folder)
        self._method = method

    def write(self, sources: Sources) -> None:
        path = self.folder / "demo.zip"
        with zipfile.ZipFile(path, "w", self._method) as archive:
            for name, content in sources:
                member = zipfile.ZipInfo(name)
                member.compress_type = self._method
                if isinstance(content, bytes):
                    archive.writestr(member, content)
                else:
                    with archive.open(member, "w", force_zip64=True) as target:
                        shutil.copyfileobj(content, target, 1 << 20)
        sync_file(path)

    def open(self) -> Callable[[str], bytes]:
        self._archive = zipfile.ZipFile(self.folder / "demo.zip")
        return self._archive.read

    def close(self) -> None:
        self._archive.close()
