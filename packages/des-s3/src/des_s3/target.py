"""Write an object front to back, without a file: for `DesWriter` and `DesStore.writer`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .multipart import PartSize

if TYPE_CHECKING:
    from .store import S3ObjectStore

__all__ = ["S3Target"]


class S3Target:
    """A new object, as a `des_format.targets.Target`: it appears by `commit`, complete, or not at all.

    Memory is that of `max_parallel_parts` + 1 parts. What fits in one part is one conditional PUT. Anything larger is
    an upload in parts, completed on condition that the key is free; services that ignore that condition (Ceph) are
    asked right before, which leaves a gap in which two writers of one key could both succeed. Keys of archives are
    never shared, so there it does not matter.

    An upload that was neither committed nor rolled back, because its process died, shows nowhere but is paid for: give
    the bucket a lifecycle rule that aborts incomplete uploads after some days.

    Args:
        store: Where.
        key: The object's key in the store.
        part_size: Bytes of a part, at least 5 MiB, the same for all as some services demand (such as R2), which bounds
            the object to 10,000 times that; `adaptive` begins at 8 MiB and grows, so that 5 TiB fit.
        max_parallel_parts: Parts on their way at the same time.

    Raises:
        ConfigurationError: A part is too small.
        InvalidInputError: The key is none.
    """

    def __init__(
        self, store: S3ObjectStore, key: str, *, part_size: PartSize = "adaptive", max_parallel_parts: int = 4
    ) -> None:
        self._upload = store.upload(key, part_size=part_size, max_parallel=max_parallel_parts)
        self.write = self._upload.write
        self.rollback = self._upload.abort
        self.e_tag: str | None = None

    def commit(self) -> None:
        """Make the object appear.

        Raises:
            ObjectExistsError: The key is taken.
            UnavailableError: It failed; whether the object appeared is not known.
        """
        self.e_tag = self._upload.finish()["e_tag"]
