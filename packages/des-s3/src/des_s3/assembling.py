"""Objects that begin with bytes of another one, which the service copies by itself (`UploadPartCopy`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from des_format.errors import UnavailableError
from des_format.ports.objects import Front, PutResult

if TYPE_CHECKING:
    from .store import S3ObjectStore

__all__ = ["LEAST_FRONT_BYTES", "assemble", "part_bytes"]

LEAST_FRONT_BYTES = 8 << 20
_COPIED_PART_COUNT = 4000


def part_bytes(length: int) -> int:
    """Size of the parts: 8 MiB up to 31 GiB. So what has to be read of the last one is little, and so is memory."""
    size = LEAST_FRONT_BYTES
    while length > size * _COPIED_PART_COUNT:
        size *= 2
    return size


def assemble(store: S3ObjectStore, path: str, source: str, front: Front, rest: Iterable[memoryview]) -> PutResult:
    """Create an object: bytes of another one, copied, and what follows, uploaded.

    All parts but the last have one size, as some services demand. What of the front is over is read and uploaded.

    Args:
        store: Where.
        path: The new object's key in the store.
        source: The other object's key in the bucket.
        front: What of it is copied; not under `LEAST_FRONT_BYTES`.
        rest: What follows.

    Raises:
        As `Assembles.assemble`.
    """
    size = part_bytes(front.length)
    upload = store.upload(path, part_size=size, max_parallel=4)
    try:
        at = 0
        while at + size <= front.length:
            at = upload.copy(source, at, front.e_tag)
        # Only now, and even if nothing is over: Ceph copies whichever version there is.
        upload.settle()
        over = store.get(front.path, options={"range": (at, front.length), "if_match": front.e_tag}).data
        if len(over) != front.length - at:
            raise UnavailableError(f"object {front.path!r} ended early, at byte {at + len(over)} of {front.length}")
        upload.write(over)
        for piece in rest:
            upload.write(piece)
        return upload.finish()
    except BaseException:
        upload.abort()
        raise
