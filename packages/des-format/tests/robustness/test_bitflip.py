"""Change bytes of small archives of every kind: no read ever returns something wrong, and `verify` sees each change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from des_format import DesError, DesReader
from des_format.layout import BLOCK_SIZE
from des_format.sources import BufferSource

if TYPE_CHECKING:
    from .conftest import RemoteSource, Specimen, Truth

# Larger ones: every how many-th byte of DATA and META is changed, and one of its bits.
STRIDE = {"overflowing": 151, "appended": 1, "dictionary": 1}


def positions(specimen: Specimen) -> Iterator[int]:
    """All bytes of a small archive, but of the empty slots of its index, and of a larger archive, only some."""
    stride = STRIDE.get(specimen.kind, 1)
    regions = specimen.index_regions()
    for position in range(len(specimen.data)):
        region = next((region for region in regions if position in region), None)
        if region is None:
            if position % stride == 0:
                yield position
            continue
        slot = position - position % 16
        at = (position - region.start) % BLOCK_SIZE
        in_use = stride == 1 and any(specimen.data[slot : slot + 16])
        if at >= BLOCK_SIZE - 16 or in_use or at % 131 == 0:
            yield position


def changes(specimen: Specimen) -> Iterator[tuple[int, bytes]]:
    """Each byte that is changed, and the archive with that change: every bit, or one in turn."""
    for number, position in enumerate(positions(specimen)):
        patterns = [1 << number % 8] if specimen.kind in STRIDE else [1 << bit for bit in range(8)]
        for pattern in patterns:
            data = bytearray(specimen.data)
            data[position] ^= pattern
            yield position, bytes(data)


def read_and_verify(source: Any, truth: Truth, data: bytes) -> None:
    try:
        reader = DesReader(source)
    except DesError:
        return
    with reader:
        truth.check(reader, data)
        assert not reader.verify().ok


def test_a_changed_byte_never_yields_a_wrong_answer(
    specimen: Specimen, truths: dict[str, Truth], remote_source: type[RemoteSource]
) -> None:
    truth, folder = truths[specimen.kind], specimen.path.parent
    for position, data in changes(specimen):
        try:
            read_and_verify(BufferSource(data, folder), truth, data)
            read_and_verify(remote_source(data, folder), truth, data)
        except BaseException as error:
            error.add_note(f"byte {position} is {data[position]:#04x}, was {specimen.data[position]:#04x}")
            raise


def test_a_changed_byte_beside_the_archive_is_seen(specimens: dict[str, Specimen], tmp_path: Path) -> None:
    specimen = specimens["externals"]
    (object_path,) = (specimen.path.parent / "_bigFiles").iterdir()
    folder = tmp_path / "_bigFiles"
    folder.mkdir()
    payload = object_path.read_bytes()
    for position in range(len(payload)):
        damaged = payload[:position] + bytes([payload[position] ^ 1 << position % 8]) + payload[position + 1 :]
        (folder / object_path.name).write_bytes(damaged)
        with DesReader(BufferSource(specimen.data, tmp_path)) as reader:
            with pytest.raises(DesError):
                reader.get_file("big")
            with pytest.raises(DesError):
                reader.get_files_batch(["small", "big"])
            assert [problem.name for problem in reader.verify().problems] == ["big"]


def test_an_undamaged_archive_answers_everything(
    specimen: Specimen, truths: dict[str, Truth], remote_source: type[RemoteSource]
) -> None:
    for source in (specimen.path, remote_source(specimen.data, specimen.path.parent)):
        with DesReader(source) as reader:
            assert truths[specimen.kind].check(reader, specimen.data)
            assert reader.verify().ok
