"""The cache on disk: its bound, damage, other processes, crashes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from des_cache import DiskIndexCache, disk, diskgroups
from des_format.errors import ConfigurationError, UnavailableError
from hypothesis import given, settings
from hypothesis import strategies as st

PAGE = 4096
needs_permissions = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="needs a user for whom permissions hold"
)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def taken(folder: Path) -> int:
    return sum(max(1, -(-path.stat().st_size // PAGE)) * PAGE for path in files_of(folder))


def age(paths: Iterable[Path], seconds: float) -> None:
    for path in paths:
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def test_another_process_finds_what_one_kept(tmp_path: Path) -> None:
    DiskIndexCache(tmp_path).set_many({"größe/ 3": b"value", "empty": b""})
    script = "import sys, des_cache; print(des_cache.DiskIndexCache(sys.argv[1]).get_many(['größe/ 3', 'empty', 'no']))"
    result = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "{'größe/ 3': b'value', 'empty': b''}"


def test_any_key_makes_a_safe_name(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path / "cache")
    items = {
        key: key.encode("utf-8", "replace") for key in ("../../up", "/etc/passwd", "nul\0", "a" * 5000, "", "\ud800")
    }
    cache.set_many(items)
    assert cache.get_many(items) == items
    assert {path.parent.parent for path in files_of(tmp_path)} == {tmp_path / "cache"}


@settings(max_examples=25)
@given(
    st.integers(0, 40 * PAGE),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6 * PAGE)), max_size=25),
)
def test_one_process_stays_within_the_bound(max_bytes: int, writes: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cache = DiskIndexCache(folder, max_bytes)
        for number, size in writes:
            value = bytes([number]) * size
            cache.set_many({f"k{number}": value})
            assert taken(Path(folder)) <= max_bytes
            assert cache.get_many([f"k{number}"]).get(f"k{number}", value) == value
        assert cache.get_stats()["errors"] == 0


def test_a_large_bound_is_shared_among_groups_of_folders(tmp_path: Path) -> None:
    groups = diskgroups.DiskGroup.share(tmp_path, 10 << 30)
    assert len(groups) == len(set(groups)) == 256
    assert sum(group.limit_bytes for group in groups) == 10 << 30
    small = diskgroups.DiskGroup.share(tmp_path, 100 << 20)
    assert len(set(small)) == 4
    assert len(set(small[:64])) == 1


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path, 32 * PAGE, touch_seconds=0)
    for number in range(20):
        cache.set_many({f"k{number}": bytes(1000)})
        age(files_of(tmp_path), 60)
    assert set(cache.get_many(["k0", "k1"])) == {"k0", "k1"}
    for number in range(20, 60):
        cache.set_many({f"k{number}": bytes(1000)})
        age(files_of(tmp_path), 1)
    assert not cache.get_many([f"k{number}" for number in range(2, 20)])
    assert taken(tmp_path) <= 32 * PAGE
    assert cache.get_stats()["evictions"] >= 28


def test_a_read_notes_the_use_now_and_then(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path, touch_seconds=60)
    cache.set_many({"a": b"1"})
    (file,) = files_of(tmp_path)
    age([file], 30)
    before = file.stat().st_mtime_ns
    cache.get_many(["a"])
    assert file.stat().st_mtime_ns == before
    age([file], 60)
    cache.get_many(["a"])
    assert file.stat().st_mtime_ns > before


def test_processes_that_write_little_keep_the_bound_together(tmp_path: Path) -> None:
    """Each cache is what a short process has of it; none writes enough to look by itself."""
    for number in range(200):
        DiskIndexCache(tmp_path, 64 * PAGE).set_many({f"k{number}": bytes(1000)})
    # 200 without a bound; 64, and those until one of them happens to look: one in 4 does.
    assert taken(tmp_path) < 130 * PAGE


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign", "swap", "longer"])
def test_a_damaged_file_was_not_there_and_is_removed(tmp_path: Path, damage: str) -> None:
    cache = DiskIndexCache(tmp_path)
    cache.set_many({"a": b"value of a", "b": b"value of b"})
    file, other = cache._path("a"), cache._path("b")
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[3] ^= 1
    broken: dict[str, bytes | bytearray] = {
        "cut": data[:-1],
        "empty": b"",
        "foreign": b"something else",
        "swap": other.read_bytes(),
        "longer": data + b"\0",
    }
    file.write_bytes(broken.get(damage, data))
    assert cache.get_many(["a", "b"]) == {"b": b"value of b"}
    assert not file.exists()
    assert cache.get_stats()["errors"] == 1


def test_files_of_others_are_never_touched(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path, 4 * PAGE)
    foreign = [tmp_path / "README", tmp_path / "00" / "notes.txt"]
    for file in foreign:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes(100_000))
    for number in range(20):
        cache.set_many({f"k{number}": bytes(1000)})
    cache.clear()
    assert files_of(tmp_path) == sorted(foreign)


def test_what_a_killed_process_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path, 8 * PAGE)
    (tmp_path / "7f").mkdir()
    old, young = (tmp_path / "7f" / diskgroups.temporary_name() for _ in range(2))
    for file in (old, young):
        file.write_bytes(b"half")
    age([old], 3700)
    cache.set_many({"a": b"1"})
    assert (old.exists(), young.exists()) == (False, True)


def test_a_full_disk_skips_a_set_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DiskIndexCache(tmp_path)
    cache.set_many({"a": b"old", "b": b"other"})

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "_create", full)
        cache.set_many({"a": b"new", "c": b"new"})
    assert cache.get_many(["a", "b", "c"]) == {"b": b"other"}
    assert len(files_of(tmp_path)) == 1
    assert cache.get_stats()["errors"] == 2


def test_a_disk_that_fails_is_empty_and_a_failed_delete_is_told(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path)
    cache.set_many({"a": b"1", "b": b"2"})
    path = cache._path("a")
    path.unlink()
    path.mkdir()  # what no call of the cache can read, replace or remove
    assert cache.get_many(["a", "b"]) == {"b": b"2"}
    cache.set_many({"a": b"3"})
    assert cache.get_many(["a"]) == {}
    with pytest.raises(UnavailableError, match="1 files"):
        cache.delete_many(["a", "b"])
    assert cache.get_many(["b"]) == {}
    assert cache.get_stats()["errors"] >= 3


def test_a_folder_that_went_away_is_made_again(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    assert cache.get_many(["a"]) == {}
    cache.set_many({"a": b"1"})
    assert cache.get_many(["a"]) == {"a": b"1"}


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="file"):
        DiskIndexCache(tmp_path / "file" / "cache")
    with pytest.raises(ConfigurationError, match="max_bytes"):
        DiskIndexCache(tmp_path, -1)


@needs_permissions
def test_a_folder_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path, touch_seconds=0)
    cache.set_many({"a": b"1"})
    folder = cache._path("a").parent
    folder.chmod(0o500)
    try:
        assert cache.get_many(["a"]) == {"a": b"1"}
        cache.set_many({"a": b"2"})
    finally:
        folder.chmod(0o700)


WRITER = """
import itertools, sys, des_cache
cache = des_cache.DiskIndexCache(sys.argv[1], int(sys.argv[2]))
print("ready", flush=True)
for number in itertools.count(int(sys.argv[3])):
    print(number, flush=True)
    key = f"k{number % 97}"
    cache.set_many({key: key.encode() * (2000 + number % 3000)})
    got = cache.get_many([f"k{(number * 31) % 97}"])
    for name, value in got.items():
        assert value.replace(name.encode(), b"") == b"", name
    if int(sys.argv[4]) and number > int(sys.argv[4]):
        break
assert cache.get_stats()["errors"] == 0, cache.get_stats()
"""


def start_writer(folder: Path, max_bytes: int, first: int, last: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(max_bytes), str(first), str(last)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_share_a_folder(tmp_path: Path) -> None:
    limit = 40 * PAGE
    writers = [start_writer(tmp_path, limit, first, first + 120) for first in (1, 1000, 2000)]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    # Each process may be 1/16 above, and one file.
    assert taken(tmp_path) <= limit * (1 + 3 / 16) + 3 * 4 * PAGE
    reader = DiskIndexCache(tmp_path, limit)
    found = reader.get_many([f"k{number}" for number in range(97)])
    assert found
    assert all(value.replace(key.encode(), b"") == b"" for key, value in found.items())
    assert reader.get_stats()["errors"] == 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_process_killed_while_it_writes_leaves_nothing_wrong(tmp_path: Path) -> None:
    for attempt in range(3):
        with start_writer(tmp_path, 1 << 20, attempt * 1000, 0) as writer:
            assert writer.stdout is not None
            for _ in range(15 + attempt):
                writer.stdout.readline()
            writer.kill()
    cache = DiskIndexCache(tmp_path, 1 << 20)
    found = cache.get_many([f"k{number}" for number in range(97)])
    assert found
    assert all(value.replace(key.encode(), b"") == b"" for key, value in found.items())
    assert cache.get_stats()["errors"] == 0
    cache.clear()
    assert files_of(tmp_path) == []


@pytest.mark.parametrize(
    ("day_seconds", "machine_seconds", "is_there"),
    [(4.9, 4.9, True), (5, 5, False), (-1, 3, False), (3, -1000, False), (3600, 3, False), (3, 3600, False)],
)
def test_a_value_with_a_time_is_there_while_both_clocks_say_so(
    tmp_path: Path, day_seconds: float, machine_seconds: float, is_there: bool
) -> None:
    DiskIndexCache(tmp_path, clocks=lambda: (1_000_000.0, 2000.0)).set_expiring({"a": b"1"}, 5.0)
    later = DiskIndexCache(tmp_path, clocks=lambda: (1_000_000.0 + day_seconds, 2000.0 + machine_seconds))
    assert later.get_expiring(["a"]) == ({"a": b"1"} if is_there else {})


def test_values_with_and_without_a_time_have_keys_of_their_own(tmp_path: Path) -> None:
    cache = DiskIndexCache(tmp_path)
    cache.set_expiring({"a": b"1"}, 3600.0)
    cache.set_many({"a": b"2"})
    assert (cache.get_expiring(["a"]), cache.get_many(["a"])) == ({"a": b"1"}, {"a": b"2"})
    cache.delete_many(["a"])
    assert (cache.get_expiring(["a"]), cache.get_many(["a"])) == ({}, {})
