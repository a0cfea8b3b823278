"""Payloads beside a Datavision archive: where they are looked for, and what is believed of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import (
    AsyncDesReader,
    BigFileMissingError,
    CorruptArchiveError,
    DesReader,
    EntryTooLargeError,
)

PAYLOAD = b"the payload that lies beside"
SIZE = len(PAYLOAD)

Make = Callable[..., DesReader]


@pytest.fixture
def datavision(tmp_path: Path, dv: Any, build_datavision: Any) -> Make:
    """A reader of `day/shard.des` with external entries of these names, written with this prefix."""

    def make(*names: str, prefix: str | None = "day", key: Any = None, size: int = SIZE, **options: Any) -> DesReader:
        rows = []
        for name in names:
            meta: dict[str, Any] = {"size": size, "is_external": True}
            if key is not None or prefix is not None:
                meta["external_key"] = key if key is not None else f"{prefix}/_bigFiles/{name}"
            rows.append(dv(name.encode(), meta=json.dumps(meta).encode(), external_size=size))
        path = tmp_path / "day" / "shard.des"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(build_datavision(rows))
        return DesReader(path, **options)

    return make


# -- Datavision: the place ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("day", "_bigFiles/x"),
        (None, "_bigFiles/x"),
        ("some/where/day", "_bigFiles/x"),
        ("day/shard", "shard/_bigFiles/x"),
        ("some/day/shard/sub", "shard/sub/_bigFiles/x"),
        ("some/day/shard/sub", "sub/_bigFiles/x"),
        ("żółć/day", "_bigFiles/x"),
        ("day/żółć", "żółć/_bigFiles/x"),
        ("/day", "_bigFiles/x"),
        ("day//", "_bigFiles/x"),
        ("../day", "day/_bigFiles/x"),
        ("a/b/c/d/e/f/g/h/i/j", "c/d/e/f/g/h/i/j/_bigFiles/x"),
    ],
)
def test_the_end_of_the_written_key_leads_to_the_object(
    prefix: str | None, key: str, datavision: Make, put: Callable[..., Path]
) -> None:
    put(key, PAYLOAD)
    with datavision("x", prefix=prefix) as reader:
        assert reader.get_file("x") == PAYLOAD
        assert reader.get_files_batch(["x"]) == {"x": PAYLOAD}
        assert reader.read_range("x", 4, 11) == PAYLOAD[4:11]
        assert reader.open("x").read() == PAYLOAD
        assert [payload for _, payload in reader.scan()] == [None]


@pytest.mark.parametrize(
    "prefix", ["day/..", "day/../..", "../..", "..", ".", "/", "", "day\\shard", "c:", "a\0b", "\ud800", "a/b/../day/."]
)
@pytest.mark.parametrize("outside", ["_bigFiles/x", "day/shard/_bigFiles/x"])
def test_a_folder_that_leads_out_is_never_followed(
    prefix: str, outside: str, datavision: Make, tmp_path: Path, put: Callable[..., Path]
) -> None:
    (tmp_path / outside).parent.mkdir(parents=True)
    (tmp_path / outside).write_bytes(PAYLOAD)
    with datavision("x", prefix=prefix) as reader:
        with pytest.raises(BigFileMissingError, match=r"'x' is not beside the archive; tried _bigFiles/x$"):
            reader.get_file("x")
        put("_bigFiles/x", PAYLOAD[::-1])
        assert reader.get_file("x") == PAYLOAD[::-1]


@pytest.mark.parametrize(
    "key",
    [
        "../secret",
        "/etc/passwd",
        "secret",
        "_bigFiles/../secret",
        "_bigFiles/y",
        "day_bigFiles/x",
        "",
        7,
        ["day/_bigFiles/x"],
        "d/" * 1000 + "_bigFiles/x",
    ],
)
def test_a_key_that_does_not_end_as_the_writer_ends_it_is_not_used(
    key: Any, datavision: Make, put: Callable[..., Path]
) -> None:
    for other in ("secret", "../secret", "_bigFiles/y", "d/_bigFiles/x"):
        put(other, PAYLOAD)
    with datavision("x", key=key) as reader, pytest.raises(BigFileMissingError, match=r"tried _bigFiles/x$"):
        reader.get_file("x")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../secret", "/secret", "a/b", "a\\b", "C:x", "x\0", "a*", "?", '"', "<", ">", "|", "é" * 513],
)
def test_a_name_that_cannot_be_a_files_leads_nowhere(name: str, datavision: Make, put: Callable[..., Path]) -> None:
    put("secret", PAYLOAD)
    put("_bigFiles/a/b", PAYLOAD)
    with datavision(name) as reader:
        assert reader.get_entry(name).is_external
        for read in (reader.get_file, lambda name: reader.read_range(name, 0, 3)):
            with pytest.raises(BigFileMissingError, match="tried nothing"):
                read(name)


def test_the_most_specific_place_wins(datavision: Make, put: Callable[..., Path]) -> None:
    put("_bigFiles/x", PAYLOAD[::-1])
    put("shard/_bigFiles/x", PAYLOAD)
    with datavision("x", prefix="day/shard") as reader:
        assert reader.get_file("x") == PAYLOAD


def test_the_place_of_one_object_is_tried_first_for_the_next(
    datavision: Make, put: Callable[..., Path], guarded: Any, tmp_path: Path
) -> None:
    names = [f"n{i}" for i in range(5)]
    for name in names:
        put(f"shard/_bigFiles/{name}", name.encode() + PAYLOAD[2:])
    data = Path(tmp_path / "day").joinpath("shard.des")
    datavision(*names, prefix="a/b/day/shard").close()
    source = guarded(data.read_bytes(), data.parent)
    reader = DesReader(source)
    assert reader.get_file("n0") == b"n0" + PAYLOAD[2:]
    assert len(source.rounds) == 5  # Four places, the last of them right, and the payload.
    source.rounds.clear()
    assert reader.get_files_batch(names) == {name: name.encode() + PAYLOAD[2:] for name in names}
    # A byte of each object, which proves its size, and all payloads in one round.
    assert [len(requested) for requested in source.rounds] == [1, 1, 1, 1, 1, 5]


def test_a_long_prefix_costs_no_more_than_nine_requests(datavision: Make, guarded: Any, tmp_path: Path) -> None:
    datavision("x", prefix="d/" * 300 + "day").close()
    source = guarded((tmp_path / "day" / "shard.des").read_bytes(), tmp_path / "day")
    reader = DesReader(source)
    source.rounds.clear()
    with pytest.raises(BigFileMissingError):
        reader.get_file("x")
    assert [requested[0].beside.count("/") for requested in source.rounds] == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_an_object_that_lies_elsewhere_than_its_siblings_is_found(datavision: Make, put: Callable[..., Path]) -> None:
    put("shard/_bigFiles/a", PAYLOAD)
    put("_bigFiles/b", PAYLOAD)
    with datavision("a", "b", prefix="day/shard") as reader:
        assert reader.get_files_batch(["a", "b", "a"]) == {"a": PAYLOAD, "b": PAYLOAD}
        assert reader.get_file("a") == PAYLOAD


async def test_the_asynchronous_reader_looks_in_the_same_places(
    datavision: Make, put: Callable[..., Path], tmp_path: Path
) -> None:
    put("_bigFiles/x", PAYLOAD)
    datavision("x", "y", prefix="a/b/day").close()
    reader = await AsyncDesReader.open(tmp_path / "day" / "shard.des")
    assert await reader.get_file("x") == PAYLOAD
    with pytest.raises(BigFileMissingError):
        await reader.get_file("y")


# -- Datavision: the object -----------------------------------------------------------------


@pytest.mark.parametrize("found", [b"", PAYLOAD[:-1], PAYLOAD + b"!"])
def test_an_object_of_another_size_is_refused(found: bytes, datavision: Make, put: Callable[..., Path]) -> None:
    put("_bigFiles/x", found)
    with datavision("x") as reader:
        for read in (
            reader.get_file,
            lambda name: reader.read_range(name, 0, 3),
            lambda name: reader.open(name).read(),
        ):
            with pytest.raises(CorruptArchiveError, match=f"_bigFiles/x of entry 'x' has not {SIZE} bytes"):
                read("x")


def test_an_object_of_another_size_does_not_hide_the_right_one(datavision: Make, put: Callable[..., Path]) -> None:
    put("shard/_bigFiles/x", PAYLOAD + b"!")
    put("_bigFiles/x", PAYLOAD)
    with datavision("x", prefix="day/shard") as reader:
        assert reader.get_file("x") == PAYLOAD


def test_a_missing_object_fails_a_batch_instead_of_leaving_it_out(datavision: Make, put: Callable[..., Path]) -> None:
    put("_bigFiles/x", PAYLOAD)
    with datavision("x", "y") as reader:
        assert reader.get_files_batch(["x", "absent"]) == {"x": PAYLOAD}
        with pytest.raises(BigFileMissingError, match="tried _bigFiles/y, day/_bigFiles/y"):
            reader.get_files_batch(["x", "y"])


def test_an_empty_payload_needs_no_object(datavision: Make) -> None:
    with datavision("x", "../y", size=0) as reader:
        assert reader.get_files_batch(["x", "../y"]) == {"x": b"", "../y": b""}
        assert reader.read_range("x", 0, 5) == b""


def test_an_archive_in_memory_has_nothing_beside_it(datavision: Make, tmp_path: Path) -> None:
    datavision("x").close()
    with (
        DesReader((tmp_path / "day" / "shard.des").read_bytes()) as reader,
        pytest.raises(BigFileMissingError, match="'x' is not beside") as caught,
    ):
        reader.get_file("x")
    assert "only in memory" in str(caught.value.__cause__)


def test_what_is_no_file_counts_as_missing(datavision: Make, tmp_path: Path) -> None:
    (tmp_path / "day" / "_bigFiles" / "folder").mkdir(parents=True)
    (tmp_path / "day" / "file").write_bytes(b"")
    with datavision("folder", "n" * 300) as reader:
        for name in reader.list_files():
            with pytest.raises(BigFileMissingError):
                reader.get_file(name)
    with datavision("x", prefix="file") as reader, pytest.raises(BigFileMissingError):
        reader.get_file("x")


@pytest.mark.parametrize("size", [2**40, 2**62, 2**63 - 1])
def test_an_absurd_size_is_not_allocated(size: int, datavision: Make, put: Callable[..., Path]) -> None:
    put("_bigFiles/x", PAYLOAD)
    with datavision("x", size=size) as reader:
        with pytest.raises(EntryTooLargeError):
            reader.get_file("x")
        with pytest.raises(CorruptArchiveError):
            reader.read_range("x", 0, size)
    with datavision("x", size=size, max_entry_bytes=2**64) as reader, pytest.raises(CorruptArchiveError):
        reader.get_file("x")
