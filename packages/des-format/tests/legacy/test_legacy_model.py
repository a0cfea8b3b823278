"""Any archive that either published writer could have made reads back as its last entries."""

from __future__ import annotations

import json
from typing import Any

import lz4.frame
import pytest
import zstandard
from des_format import Codec, DesReader
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PAYLOADS = st.one_of(st.just(b""), st.binary(max_size=40), st.binary(min_size=1, max_size=4).map(lambda b: b * 300))
METAS = st.dictionaries(
    st.text(max_size=4).filter(lambda key: key != "size"), st.one_of(st.none(), st.integers(), st.floats(), st.text())
)
ENTRIES = st.lists(st.tuples(NAMES, PAYLOADS, METAS, st.sampled_from(Codec)), max_size=12)
COMPRESS = {
    Codec.NONE: bytes,
    Codec.ZSTD: zstandard.ZstdCompressor(level=3).compress,
    Codec.LZ4: lz4.frame.compress,
}


def expected(entries: list[Any]) -> dict[str, tuple[bytes, str]]:
    last: dict[str, tuple[bytes, str]] = {}
    for name, payload, meta, _codec in entries:
        last.pop(name, None)
        last[name] = payload, json.dumps(meta)
    return last


def found(reader: DesReader, read_all: Any, *, drop_size: bool = False) -> dict[str, tuple[bytes, str]]:
    read = read_all(reader)
    order = [entry.name for entry, _ in reader.scan()]
    for payload, meta, _external in read.values():
        assert not drop_size or meta.pop("size") == len(payload)
    return {name: (read[name][0], json.dumps(read[name][1])) for name in order}


@given(entries=ENTRIES)
def test_datavision_archives_read_back(entries: list[Any], dv: Any, build_datavision: Any, read_all: Any) -> None:
    rows = [
        dv(name.encode(), payload, json.dumps(meta | {"size": len(payload)}, separators=(",", ":")).encode())
        for name, payload, meta, _codec in entries
    ]
    with DesReader(build_datavision(rows)) as reader:
        assert list(found(reader, read_all, drop_size=True).items()) == list(expected(entries).items())


@given(entries=ENTRIES)
def test_des_core_archives_read_back(entries: list[Any], dc: Any, build_des_core: Any, read_all: Any) -> None:
    rows = [
        dc(name.encode(), COMPRESS[codec](payload), len(payload), codec, json.dumps(meta).encode() if meta else b"")
        for name, payload, meta, codec in entries
    ]
    with DesReader(build_des_core(rows)) as reader:
        assert list(found(reader, read_all).items()) == list(expected(entries).items())
        assert {entry.name: entry.codec for entry in reader.entries()} == {
            name: codec for name, _payload, _meta, codec in entries
        }


@given(entries=ENTRIES)
def test_des_core_archives_of_version_1_read_back(
    entries: list[Any], dc: Any, build_des_core: Any, read_all: Any
) -> None:
    bare: list[Any] = [(name, payload, {}, codec) for name, payload, _meta, codec in entries]
    rows = [dc(name.encode(), COMPRESS[codec](payload), len(payload), codec) for name, payload, _, codec in bare]
    with DesReader(build_des_core(rows, version=1)) as reader:
        assert list(found(reader, read_all).items()) == list(expected(bare).items())


@given(names=st.sets(NAMES, max_size=30), prefix=st.text(max_size=3))
def test_a_prefix_lists_what_begins_with_it_in_the_order_of_utf_8(
    names: set[str], prefix: str, dc: Any, build_des_core: Any
) -> None:
    with DesReader(build_des_core([dc(name.encode()) for name in names])) as reader:
        wanted = sorted((name for name in names if name.startswith(prefix)), key=str.encode)
        assert reader.list_files(prefix) == wanted


@pytest.mark.parametrize("name", ["", "\0", "nul\0in", ".", "..", "a/../b", "\n", " ", "x" * 65_535])
def test_names_that_version_3_refuses_can_be_read(
    name: str, dv: Any, dc: Any, build_datavision: Any, build_des_core: Any, read_all: Any
) -> None:
    for archive in (build_datavision([dv(name.encode(), b"1")]), build_des_core([dc(name.encode(), b"1")])):
        with DesReader(archive) as reader:
            assert read_all(reader)[name][0] == b"1"
            assert name in reader
            with pytest.raises(TypeError):
                reader.get_file(name.encode())  # type: ignore[arg-type]
            assert "\ud800" not in reader
            assert reader.list_files("\ud800") == []


def test_the_last_of_equal_names_counts_whatever_their_kinds(dc: Any, build_des_core: Any) -> None:
    digest = b"0" * 64
    inline, external = dc(b"a", b"inline"), dc(b"a", size=9, digest=digest)
    with DesReader(build_des_core([external, inline, dc(b"b", b"xy")])) as reader:
        assert reader.get_file("a") == b"inline"
        stats = reader.get_stats()
        assert (stats.total_files, stats.external_files, stats.external_size_bytes) == (2, 0, 0)
        assert (stats.internal_size_bytes, stats.stored_size_bytes) == (8, 8)
    with DesReader(build_des_core([inline, external])) as reader:
        assert reader.get_entry("a").is_external
        stats = reader.get_stats()
        assert (stats.internal_files, stats.external_files, stats.external_size_bytes) == (0, 1, 9)
        assert (stats.internal_size_bytes, stats.stored_size_bytes) == (0, 0)


def test_metadata_may_hold_nan_and_infinity(dv: Any, build_datavision: Any) -> None:
    with DesReader(build_datavision([dv(b"a", b"x", b'{"a":NaN,"b":-Infinity,"size":1}')])) as reader:
        assert json.dumps(reader.get_meta("a")) == '{"a": NaN, "b": -Infinity, "size": 1}'


def test_metadata_may_be_absent(dv: Any, build_datavision: Any) -> None:
    with DesReader(build_datavision([dv(b"a", b"x", b""), dv(b"b", b"y", b"{}")])) as reader:
        assert reader.get_meta("a") == reader.get_meta("b") == {}
        assert reader.get_file("a") == b"x"


def test_bytes_that_no_entry_names_are_no_obstacle(
    dv: Any, dc: Any, build_datavision: Any, build_des_core: Any
) -> None:
    with DesReader(build_datavision([dv(b"a", b"1orphan", b"{}", length=1), dv(b"b", b"2")])) as reader:
        assert reader.get_files_batch(["b", "a"]) == {"b": b"2", "a": b"1"}
        assert [payload for _, payload in reader.scan()] == [b"1", b"2"]
    with DesReader(build_des_core([dc(b"a", b"1orphan", 1, length=1), dc(b"b", b"2")])) as reader:
        assert reader.get_files_batch(["b", "a"]) == {"b": b"2", "a": b"1"}
