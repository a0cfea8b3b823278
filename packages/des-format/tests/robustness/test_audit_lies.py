"""`verify` finds every lie, also under valid checksums."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lz4.frame
import pytest
import zstandard
from des_format import DesReader
from des_format.archive import Archive
from des_format.audit import audit
from des_format.layout import BLOCK_SIZE, FOOTER_SIZE
from des_format.listing import encode_meta_region
from des_format.sources import BufferSource

if TYPE_CHECKING:
    from .conftest import Forgery, NamesIn, SaidBy, Specimen, Verify

MIB = 2**20


# -- lies under valid checksums -------------------------------------------------------------------


@pytest.fixture
def three(forgery: Forgery) -> Forgery:
    for name in (b"a", b"b", b"c"):
        forgery.add(name, b"payload " + name, meta=b'{"n":1}')
    return forgery


def test_a_forgery_that_does_not_lie_is_sound(three: Forgery, verify: Verify) -> None:
    assert verify(three.seal()).ok


def test_an_entry_that_no_lookup_finds_is_named(three: Forgery, verify: Verify, said: SaidBy, names: NamesIn) -> None:
    slots = [(row.name, row.offset, row.length) for row in three.rows]
    report = verify(three.seal(index=three.index(slots[1:])))
    assert names(report) == [None, "a"]
    assert "2 occupied slots for 3 entries" in said(report)


def test_a_slot_of_another_length_is_found(three: Forgery, verify: Verify, names: NamesIn) -> None:
    slots = [(row.name, row.offset, row.length + (row.name == b"b")) for row in three.rows]
    assert names(verify(three.seal(index=three.index(slots)))) == ["b"]


def test_a_slot_that_only_a_wrong_probe_finds_is_found(three: Forgery, verify: Verify) -> None:
    """The slot is in the right block, but an empty slot lies before it."""
    index = three.index()
    at = next(at for at in range(0, BLOCK_SIZE - 16, 16) if any(index[at : at + 16]))
    free = next(at + n for n in range(32, 4000, 16) if not any(index[at + n - 16 : at + n + 16]))
    index[free : free + 16], index[at : at + 16] = index[at : at + 16], bytes(16)
    assert len(verify(three.seal(index=index)).problems) == 1


def test_a_slot_too_many_is_found(three: Forgery, verify: Verify, said: SaidBy) -> None:
    slots = [(row.name, row.offset, row.length) for row in three.rows]
    index = three.index([*slots, (b"ghost", three.rows[0].offset, three.rows[0].length)])
    assert "4 occupied slots for 3 entries" in said(verify(three.seal(index=index)))


def test_every_field_of_meta_is_compared_with_the_record(
    three: Forgery, verify: Verify, said: SaidBy, names: NamesIn
) -> None:
    a, b, c = three.rows
    for lie in (
        b._replace(meta=b'{"n":2}'),
        b._replace(codec=1),
        b._replace(kind=1),
        b._replace(length=b.length + 1),
        b._replace(raw_length=b.raw_length + 1),
        b._replace(offset=a.offset),
        b._replace(offset=b.offset + 1),
    ):
        report = verify(three.seal(rows=[a, lie, c]))
        assert "b" in names(report), lie
        assert not {"a", "c"} & set(names(report)), said(report)


def test_a_listing_without_an_entry_is_found(three: Forgery, verify: Verify) -> None:
    a, b, c = three.rows
    report = verify(three.seal(rows=[a, c]))
    assert [problem.where for problem in report.problems] == ["META", f"entry at offset {b.offset}"]


def test_a_listing_with_an_entry_too_many_is_found(three: Forgery, verify: Verify, names: NamesIn) -> None:
    a, b, c = three.rows
    assert "bb" in names(verify(three.seal(rows=[a, b, b._replace(name=b"bb", offset=c.offset + c.length), c])))


def test_a_listing_out_of_order_is_found(three: Forgery, verify: Verify, said: SaidBy) -> None:
    a, b, c = three.rows
    for rows in ([a, c, b], [b, a, c], [a, b, b, c]):
        assert "names must ascend" in said(verify(three.seal(rows=rows)))


def test_a_directory_with_another_first_name_is_found(three: Forgery, verify: Verify, said: SaidBy) -> None:
    blocks, directory = encode_meta_region(three.rows)
    lie = directory[:-1] + b"A"
    assert "begins with b'a', the directory says b'A'" in said(verify(three.seal(meta=(blocks, lie))))


@pytest.mark.parametrize("field", ["entry_count", "raw_bytes", "stored_bytes", "external_count", "external_bytes"])
def test_totals_that_the_entries_do_not_add_up_to_are_found(
    three: Forgery, verify: Verify, field: str, said: SaidBy
) -> None:
    three.add(b"x", b"s" * 32, kind=1, raw_length=5)
    true = DesReader(three.seal()).core.footer
    changes: dict[str, Any] = {field: getattr(true, field) + (-1 if field.startswith("external") else 1)}
    assert f"{field} {changes[field]}, but the entries add up to" in said(verify(three.seal(**changes)))


def test_another_content_digest_is_found(three: Forgery, verify: Verify, said: SaidBy) -> None:
    assert "content digest" in said(verify(three.seal(content_digest=bytes(16))))


def test_another_combined_checksum_of_the_index_is_found(three: Forgery, verify: Verify, said: SaidBy) -> None:
    assert "combined checksum" in said(verify(three.seal(index_checksum=1)))


def test_bytes_between_meta_and_index_must_be_zero_and_few(three: Forgery, verify: Verify, said: SaidBy) -> None:
    length = len(three.seal()) - BLOCK_SIZE - FOOTER_SIZE
    size = DesReader(three.seal()).core.footer
    gap = size.index_start - size.directory_start - size.directory_length
    assert 0 < gap < 64 < length
    assert "not all bytes are zero" in said(verify(three.seal(padding=b"\1" + bytes(gap - 1))))
    assert "fewer than 64" in said(verify(three.seal(padding=bytes(gap + 64))))


def test_a_dictionary_that_the_footer_does_not_place_is_found(forgery: Forgery, verify: Verify) -> None:
    forgery.add(b"dictionary", b"whatever", kind=2, dictionary=5)
    forgery.add(b"a", b"payload")
    forgery.dictionary_span = (0, 0)
    assert [problem.where for problem in verify(forgery.seal()).problems] == ["dictionary at offset 32"]


def test_an_entry_that_is_there_twice_is_found(forgery: Forgery, verify: Verify, said: SaidBy) -> None:
    first, second = forgery.add(b"a", b"first"), forgery.add(b"a", b"second")
    report = verify(forgery.seal(rows=[first, second]))
    assert "names must ascend" in said(report)


def test_totals_of_an_earlier_append_are_checked_too(three: Forgery, verify: Verify) -> None:
    before = three.seal(raw_bytes=1)
    start, digest = len(before), before[-32:-16]
    three.data = bytearray(before)
    three.add(b"d", b"later")
    report = verify(three.seal(data_start=start, previous_digest=digest))
    assert [problem.where for problem in report.problems] == [f"footer of the archive at {start} bytes"]


def test_a_sample_compares_the_whole_listing_with_the_index(three: Forgery, verify: Verify, names: NamesIn) -> None:
    a, b, c = three.rows
    assert "b" in names(verify(three.seal(rows=[a, b._replace(offset=b.offset + 1), c]), sample=0.01))


def test_a_sample_refuses_places_on_top_of_each_other(three: Forgery, verify: Verify, said: SaidBy) -> None:
    a, _b, _c = three.rows
    slots = [(b"a", a.offset, a.length), (b"b", a.offset + 1, a.length), (b"c", 2**40, 50)]
    report = verify(three.seal(index=three.index(slots)), sample=0.999)
    assert said(report).count("outside of DATA or on top of another") == 2


def test_an_object_has_one_size_whatever_two_entries_state(
    forgery: Forgery, verify: Verify, names: NamesIn, tmp_path: Path
) -> None:
    payload = b"beside"
    sha256 = hashlib.sha256(payload)
    (tmp_path / "_bigFiles").mkdir()
    (tmp_path / "_bigFiles" / sha256.hexdigest()).write_bytes(payload)
    forgery.add(b"a", sha256.digest(), kind=1, raw_length=6)
    forgery.add(b"b", sha256.digest(), kind=1, raw_length=5)
    assert names(verify(forgery.seal(), tmp_path)) == ["b"]


@pytest.mark.parametrize(
    ("codec", "stored"),
    [
        (1, b"no zstd frame"),
        (2, b"no lz4 frame"),
        (1, zstandard.compress(bytes(40 * MIB))),
        (2, lz4.frame.compress(bytes(40 * MIB))),
        (1, zstandard.compress(bytes(5 * MIB))),
        (2, lz4.frame.compress(bytes(5 * MIB))),
    ],
    ids=lambda value: str(value)[:4],
)
def test_a_large_payload_that_expands_to_something_else_is_named(
    forgery: Forgery, verify: Verify, names: NamesIn, codec: int, stored: bytes
) -> None:
    forgery.add(b"a", b"payload")
    forgery.add(b"large", stored, codec=codec, raw_length=20 * MIB)
    forgery.add(b"z", b"payload")
    report = verify(forgery.seal())
    assert names(report) == ["large"]
    assert report.entries_checked == 3


def test_a_footer_from_elsewhere_that_hides_earlier_data_is_found(specimens: dict[str, Specimen]) -> None:
    """Such as one from a manifest, which no reader has decoded."""
    specimen = specimens["appended"]
    archive = Archive(replace(specimen.footer, previous_footer=0))
    report = audit(archive, BufferSource(specimen.data))
    assert "no footer before it is named" in str(report.problems[0])
    assert report.entries_checked == 4
