"""What `des store put` is to add: files of the command line, or of a list as the published packers took it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ...errors import InvalidInputError
from ..inputs import FileInput, InputError
from .times import parse_time

__all__ = ["MTIME", "Incoming", "of_files", "of_manifest", "parse_meta"]

MTIME = "mtime"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = {"uid": (str, int), "created_at": str, "size_bytes": int, "source_path": str}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that is to become an entry.

    Attributes:
        file: The file; its name is the uid.
        created_at: When the entry was created.
        meta: The entry's metadata, or None.
    """

    file: FileInput
    created_at: datetime
    meta: Mapping[str, Any] | None = None

    @property
    def uid(self) -> str:
        return self.file.name


def of_files(
    paths: Sequence[Path], uid: str | None, created_at: str, meta: Mapping[str, Any] | None
) -> Iterator[Incoming]:
    """Yield what the files of the command line are to become.

    Raises:
        InvalidInputError: One uid for several files, no time, or something is no regular file.
        FileNotFoundError: There is no such file.
    """
    if uid is not None and len(paths) != 1:
        raise InvalidInputError(f"--uid names one entry, but there are {len(paths)} files")
    time = None if created_at == MTIME else parse_time(created_at)
    for path in paths:
        found = _regular(str(path))
        file = FileInput(path.name if uid is None else uid, str(path), found.st_size)
        yield Incoming(file, time or _EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000), meta)


def of_manifest(path: Path) -> Iterator[Incoming]:
    """Yield what the files of a list are to become: JSON objects of `uid`, `created_at`, `size_bytes`, `source_path`.

    Raises:
        InvalidInputError: No such list.
        InputError: A file has another size than the list says.
        FileNotFoundError: There is no such file.
    """
    try:
        items: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidInputError(f"{path} is no JSON: {error}") from error
    if not isinstance(items, list):
        raise InvalidInputError(f"{path}: a list is expected")
    for number, item in enumerate(items):
        try:
            yield _listed(item)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}, item {number}: {error}") from error


def _listed(item: Any) -> Incoming:
    if not isinstance(item, dict) or item.keys() != _FIELDS.keys():
        raise InvalidInputError(f"found {item!r:.200}; an object of {', '.join(_FIELDS)} is expected")
    for name, kind in _FIELDS.items():
        # `type` and not `isinstance`: true is no number.
        if type(item[name]) not in (kind if isinstance(kind, tuple) else (kind,)):
            raise InvalidInputError(f"{name} is {item[name]!r:.80}")
    size, path = item["size_bytes"], item["source_path"]
    found = _regular(path)
    if found.st_size != size:
        raise InputError(f"{path} has {found.st_size} bytes, the list says {size}; nothing was added")
    return Incoming(FileInput(str(item["uid"]), path, size), parse_time(item["created_at"]))


def _regular(path: str) -> os.stat_result:
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInputError(f"{path} is no regular file")
    return found


def parse_meta(text: str) -> dict[str, Any]:
    """Return metadata that is given as JSON.

    Raises:
        InvalidInputError: No JSON object.
    """
    try:
        meta = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"metadata is no JSON: {error}") from error
    if not isinstance(meta, dict):
        raise InvalidInputError("metadata must be a JSON object")
    return meta
