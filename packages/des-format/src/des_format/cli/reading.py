"""Open the archive that the command line names."""

from __future__ import annotations

from pathlib import Path

from ..errors import UnsupportedFormatError
from ..reader import DesReader

__all__ = ["open_reader"]


def open_reader(path: Path) -> DesReader:
    """Open a local archive of any known format.

    Raises:
        FileNotFoundError: No such file.
        UnsupportedFormatError: Not an archive, such as a folder, or one that needs a newer reader.
        CorruptArchiveError: An archive that is truncated or damaged.
    """
    if path.is_dir():
        raise UnsupportedFormatError(f"{path} is a folder, not an archive")
    return DesReader(path)
