"""Legacy archives whose numbers cannot be: refused when they are opened, before anything is allocated for them."""

from __future__ import annotations

from typing import Any

import pytest
from des_format import (
    CorruptArchiveError,
    DesError,
    DesReader,
    UnsupportedFormatError,
)

MEBIBYTE = 2**20
HUGE = [2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1]

# -- Datavision -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [*HUGE, 0, 1, 15, 17])
@pytest.mark.parametrize(
    "part", ["data_start", "data_length", "meta_start", "meta_length", "index_start", "index_length", "entry_count"]
)
def test_a_datavision_footer_must_describe_the_file(
    part: str, number: int, dv: Any, build_datavision: Any, guarded: Any, at_most: Any
) -> None:
    rows = [dv(b"a", b"1"), dv(b"b", b"2")]
    with pytest.raises(CorruptArchiveError), at_most(MEBIBYTE):
        DesReader(guarded(build_datavision(rows, **{part: number})))


def test_datavision_regions_that_wrap_around_are_refused(dv: Any, build_datavision: Any) -> None:
    archive = build_datavision([dv(b"a", b"1")])
    meta_start = 17
    with pytest.raises(CorruptArchiveError):
        DesReader(
            build_datavision(
                [dv(b"a", b"1")], data_length=2**64 - 16, meta_start=0, meta_length=meta_start + len(archive)
            )
        )


@pytest.mark.parametrize(
    ("field", "number"),
    [(field, number) for field in ("start", "length", "meta_start", "meta_length") for number in HUGE]
    + [("start", 0), ("start", 15), ("start", 16), ("start", 20), ("length", 4), ("length", 2), ("length", 200)]
    + [("meta_start", 0), ("meta_start", 16), ("meta_length", 0), ("meta_length", 9), ("meta_length", 11 * MEBIBYTE)],
)
def test_a_datavision_entry_must_lie_in_its_regions(
    field: str, number: int, dv: Any, build_datavision: Any, at_most: Any
) -> None:
    rows = [dv(b"a", b"111"), dv(b"b", b"222", **{field: number}), dv(b"c", b"333")]
    with pytest.raises(CorruptArchiveError), at_most(MEBIBYTE), DesReader(build_datavision(rows)) as reader:
        reader.get_file("b")


@pytest.mark.parametrize("flags", [2, 3, 4, 8, 9, 1 << 31])
def test_a_datavision_entry_with_an_unknown_flag_is_refused(flags: int, dv: Any, build_datavision: Any) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"unknown flags {flags:#x}"):
        DesReader(build_datavision([dv(b"a", b"1", flags=flags)]))


def test_a_datavision_index_is_not_parsed_for_more_entries_than_fit(dv: Any, build_datavision: Any) -> None:
    with pytest.raises(CorruptArchiveError, match="3 entries do not fit into 78 bytes"):
        DesReader(build_datavision([dv(b"a", b"1"), dv(b"b", b"2")], entry_count=3))


@pytest.mark.parametrize("size", [2**63, 2**64 - 1])
def test_an_external_payload_has_a_size_that_a_file_can_have(size: int, dv: Any, build_datavision: Any) -> None:
    with pytest.raises(CorruptArchiveError, match=f"{size} bytes of payload"):
        DesReader(build_datavision([dv(b"a", external_size=size)]))


def test_datavision_metadata_is_as_large_as_its_writer_allows(dv: Any, build_datavision: Any) -> None:
    meta = b'{"pad":"%b"}' % (b"x" * (10 * MEBIBYTE - 10))
    with DesReader(build_datavision([dv(b"a", b"1", meta)])) as reader:
        assert len(reader.get_meta("a")["pad"]) == 10 * MEBIBYTE - 10
    with pytest.raises(CorruptArchiveError, match="10485761 bytes of metadata"):
        DesReader(build_datavision([dv(b"a", b"1", meta + b" ")]))


def test_a_datavision_entry_that_is_external_has_no_payload_inside(dv: Any, build_datavision: Any) -> None:
    with pytest.raises(CorruptArchiveError, match="at 0 for an external one"):
        DesReader(build_datavision([dv(b"a", b"1", flags=1)]))


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (b"DESHEAD2\x01" + bytes(7), CorruptArchiveError),
        (b"DESHEAD1\x01" + bytes(6) + b"\x01", CorruptArchiveError),
        (b"DESHEAD1\x02" + bytes(7), UnsupportedFormatError),
        (b"DESHEAD1\x00" + bytes(7), UnsupportedFormatError),
        (bytes(16), CorruptArchiveError),
    ],
)
def test_the_datavision_header_is_checked(header: bytes, error: Any, dv: Any, build_datavision: Any) -> None:
    with pytest.raises(error, match="header at offset 0"):
        DesReader(build_datavision([dv(b"a", b"1")], header=header))


@pytest.mark.parametrize(
    ("position", "byte", "error"),
    [(8, 2, UnsupportedFormatError), (9, 1, CorruptArchiveError), (15, 128, CorruptArchiveError)],
)
def test_the_datavision_footer_is_checked(position: int, byte: int, error: Any, build_datavision: Any) -> None:
    archive = bytearray(build_datavision([]))
    archive[16 + position] = byte
    with pytest.raises(error, match="footer at offset 16"):
        DesReader(bytes(archive))


def test_a_footer_alone_is_no_archive(build_datavision: Any, build_des_core: Any) -> None:
    for cut in (16, 15, 1):
        with pytest.raises(CorruptArchiveError, match="88 bytes or more"):
            DesReader(build_datavision([])[cut:])
    for cut in (12, 8, 4):
        with pytest.raises(CorruptArchiveError, match="24 bytes or more"):
            DesReader(build_des_core([])[cut:])


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (b"[]", "is list, expected an object"),
        (b"{", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"size":2}', "another size than 1 bytes"),
        (b'{"size":[1]}', "another size"),
    ],
)
def test_metadata_that_is_none_is_refused(
    meta: bytes, message: str, dv: Any, dc: Any, build_datavision: Any, build_des_core: Any
) -> None:
    archives = [build_datavision([dv(b"a", b"1", meta)])]
    if "size" not in message:
        archives.append(build_des_core([dc(b"a", b"1", meta=meta)]))
    for archive in archives:
        with DesReader(archive) as reader:
            for read in (reader.get_file, reader.get_meta, reader.list_files, lambda _: [*reader.scan()]):
                with pytest.raises(CorruptArchiveError, match=message):
                    read("a") if read != reader.list_files else reader.list_files()


def test_a_name_that_is_not_utf_8_is_refused(dv: Any, dc: Any, build_datavision: Any, build_des_core: Any) -> None:
    for name in (b"\xff", b"\xed\xa0\x80", b"a\xc3"):
        for archive in (
            build_datavision([dv(name)]),
            build_des_core([dc(name)]),
            build_des_core([dc(name)], version=1),
        ):
            with pytest.raises(CorruptArchiveError, match="utf-8"):
                DesReader(archive)


# -- des_core ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [*HUGE, 0, 3, 5, 99])
def test_a_des_core_footer_must_describe_the_file(
    number: int, dc: Any, build_des_core: Any, guarded: Any, at_most: Any
) -> None:
    with pytest.raises(DesError), at_most(MEBIBYTE):
        DesReader(guarded(build_des_core([dc(b"a", b"1")], index_length=number)))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 2**16, 2**32 - 1])
def test_a_des_core_index_holds_as_many_entries_as_it_says(
    count: int, version: int, dc: Any, build_des_core: Any, at_most: Any
) -> None:
    rows = [dc(b"a", b"1"), dc(b"b", b"2")]
    with pytest.raises(CorruptArchiveError), at_most(MEBIBYTE):
        DesReader(build_des_core(rows, version, entry_count=count))
    with pytest.raises(CorruptArchiveError, match="bytes over"):
        DesReader(build_des_core(rows, version, trailing=b"\0"))
    with pytest.raises(CorruptArchiveError, match="3 entries do not fit"):
        DesReader(build_des_core(rows, version, entry_count=3))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("field", "number"),
    [(field, number) for field in ("start", "length", "compressed", "size") for number in HUGE]
    + [("start", 0), ("start", 7), ("start", 8), ("start", 12), ("length", 4), ("compressed", 2), ("size", 2)],
)
def test_a_des_core_entry_must_lie_in_data_and_agree_with_itself(
    field: str, number: int, version: int, dc: Any, build_des_core: Any, at_most: Any
) -> None:
    rows = [dc(b"a", b"111"), dc(b"b", b"222", **{field: number}), dc(b"c", b"333")]
    with pytest.raises(CorruptArchiveError), at_most(MEBIBYTE):
        DesReader(build_des_core(rows, version))


@pytest.mark.parametrize("fields", [{"flags": 2}, {"flags": 0x80}, {"flags": 3}, {"codec": 3}, {"codec": 255}])
def test_a_des_core_entry_with_an_unknown_flag_or_codec_is_refused(
    fields: dict[str, int], dc: Any, build_des_core: Any
) -> None:
    with pytest.raises(UnsupportedFormatError, match="unknown flags"):
        DesReader(build_des_core([dc(b"a", b"1", **fields)]))


@pytest.mark.parametrize("fields", [{"meta_length": 2**32 - 1}, {"meta_length": 3}, {"meta_length": 1}])
def test_des_core_metadata_must_lie_in_the_index(
    fields: dict[str, int], dc: Any, build_des_core: Any, at_most: Any
) -> None:
    for digest in (None, b"a" * 64):
        row = dc(b"a", size=None if digest is None else 5, meta=b"{}", digest=digest, **fields)
        with pytest.raises(CorruptArchiveError), at_most(MEBIBYTE):
            DesReader(build_des_core([row]))


@pytest.mark.parametrize("fields", [{"digest_length": 63}, {"digest_length": 2**16 - 1}, {"size": 2**63}])
def test_a_des_core_reference_must_be_a_hash_and_a_size(fields: dict[str, int], dc: Any, build_des_core: Any) -> None:
    with pytest.raises(CorruptArchiveError, match="lower-case hex"):
        DesReader(build_des_core([dc(b"a", **{"digest": b"a" * 64, "size": 5} | fields)]))


@pytest.mark.parametrize(
    ("header", "error", "message"),
    [
        (b"DES3\x02\0\0\0", CorruptArchiveError, "magic"),
        (b"DES2\x02\0\0\1", CorruptArchiveError, "reserved"),
        (b"DES2\x00\0\0\0", UnsupportedFormatError, "version 0"),
        (b"DES2\x03\0\0\0", UnsupportedFormatError, "version 3"),
    ],
)
def test_the_des_core_header_is_checked(header: bytes, error: Any, message: str, dc: Any, build_des_core: Any) -> None:
    with pytest.raises(error, match=message):
        DesReader(build_des_core([dc(b"a", b"1")], header=header))


def test_entries_that_share_their_bytes_are_refused(
    dv: Any, dc: Any, build_datavision: Any, build_des_core: Any
) -> None:
    payload = bytes(10_000)
    with pytest.raises(CorruptArchiveError, match="allowed is from"):
        DesReader(build_datavision([dv(b"a", payload)] + [dv(b"%d" % i, start=16, length=10_000) for i in range(9)]))
    shared = [dc(b"%d" % i, size=10_000, start=8, length=10_000) for i in range(9)]
    with pytest.raises(CorruptArchiveError, match="allowed is from"):
        DesReader(build_des_core([dc(b"a", payload), *shared]))
