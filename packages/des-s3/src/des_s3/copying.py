"""Copy an object from one place to another, and see that it arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from des_format.errors import CorruptArchiveError, ObjectChangedError
from des_format.layout import FOOTER_SIZE, decode_footer
from des_format.ports.objects import GetOptions, ObjectMeta, ObjectStore, PutMode
from des_format.store.model.keys import ObjectKind, classify

__all__ = ["check_archive", "copy_object", "read_tail"]

_WINDOW_BYTES = 8 << 20


def copy_object(source: ObjectStore, target: ObjectStore, meta: ObjectMeta, mode: PutMode = "overwrite") -> None:
    """Copy one version of an object; memory is that of 8 MiB.

    Args:
        source: Where it is.
        target: Where it goes.
        meta: The version, as the source described it.
        mode: How it is written.

    Raises:
        ObjectNotFoundError, ObjectChangedError: The source has it no more, or another version; nothing was changed.
        CorruptArchiveError: A big file, or an archive's end, is not what its name or footer says; nothing was changed.
    """
    check_archive(source, meta)
    if meta["size"] <= _WINDOW_BYTES:
        target.put(meta["path"], b"".join(_windows(source, meta)), mode=mode)
    else:
        target.put(meta["path"], _windows(source, meta), mode=mode)
    found = target.head(meta["path"])
    if found["size"] != meta["size"]:
        raise ObjectChangedError(f"copy of {meta['path']!r} has {found['size']} bytes, expected {meta['size']}")


def _windows(source: ObjectStore, meta: ObjectMeta) -> Iterator[bytes]:
    key, size = meta["path"], meta["size"]
    known = classify(key)
    digest = hashlib.sha256() if known is not None and known.kind is ObjectKind.BIG_FILE else None
    for start in range(0, size, _WINDOW_BYTES):
        options: GetOptions = {"range": (start, min(start + _WINDOW_BYTES, size))}
        if meta["e_tag"] is not None:
            options["if_match"] = meta["e_tag"]
        data = bytes(source.get(key, options=options).buffer())
        if len(data) != min(_WINDOW_BYTES, size - start):
            raise ObjectChangedError(f"object {key!r} ended early, at byte {start + len(data)} of {size}")
        if digest is not None:
            digest.update(data)
        yield data
    if digest is not None and known is not None and digest.hexdigest() != known.id:
        raise CorruptArchiveError(f"big file {key} has the SHA-256 {digest.hexdigest()}")


def read_tail(store: ObjectStore, key: str) -> bytes:
    """The bytes of an archive's footer."""
    return bytes(store.get(key, options={"range": {"suffix": FOOTER_SIZE}}).buffer())


def check_archive(store: ObjectStore, meta: ObjectMeta) -> None:
    """See that a store's archive has a footer that fits its size; of other objects, nothing is known.

    Raises:
        CorruptArchiveError: It has not.
    """
    known = classify(meta["path"])
    if known is not None and known.kind is ObjectKind.ARCHIVE:
        decode_footer(read_tail(store, meta["path"]), archive_size=meta["size"])
