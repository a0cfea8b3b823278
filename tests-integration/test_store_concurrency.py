"""Many processes on one store: what is acknowledged is there, once, whatever the others do and whatever fails.

`DES_STRESS_OPS` is the number of operations of each process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from des_format.errors import EntryDeletedError
from des_format.objects import MemoryObjectStore
from des_format.store import ArchiveOptions, DesStore, StoreOptions

sys.path.insert(0, str(Path(__file__).parent))
from store_stress import NOON, MeteredByKind, Outcome, payload  # the script that the processes run

SCRIPT = Path(__file__).with_name("store_stress.py")
OPERATIONS = int(os.environ.get("DES_STRESS_OPS", "10000"))
DAY = f"{NOON:%Y%m%d}"

# One after the other: each of these takes the whole machine.
pytestmark = pytest.mark.xdist_group("whole machine")


@dataclass
class Result:
    outcomes: list[Outcome]
    seconds: float

    def uids(self, what: str) -> list[str]:
        return [uid for outcome in self.outcomes for uid in getattr(outcome, what)]

    @property
    def written(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for outcome in self.outcomes:
            total.update(outcome.written)
        return total


def run_together(folder: Path, work: str, processes: int, operations: int, fault_rate: float = 0.0) -> Result:
    """Run processes that all start to work at the same time; every one of them must end well."""
    started = [
        subprocess.Popen(
            [sys.executable, SCRIPT, folder, work, f"p{number}", str(operations), str(fault_rate)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began_at = time.monotonic()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes
    return Result([Outcome(**json.loads(output)) for output in outputs], time.monotonic() - began_at)


def check_store(folder: Path, result: Result) -> int:
    """See that the store holds what was acknowledged, once, and nothing that was deleted; return its commits."""
    with DesStore.open(folder) as store:
        listed = Counter(entry.entry.name for entry in store.list(DAY))
        histories = [store.history(DAY, shard) for shard in store.shards(DAY)]
        added, deleted = set(result.uids("added")), set(result.uids("deleted"))
        assert len(added) == len(result.uids("added"))
        assert [uid for uid, count in listed.items() if count > 1] == []
        assert listed.keys() - set(result.uids("unknown")) == added - deleted
        # Reading entries one by one from thousands of archives would be most of the test.
        store.compact()
        assert Counter(entry.entry.name for entry in store.list(DAY)) == listed
        for uid in added - deleted:
            assert store.get(uid, NOON) == payload(uid)
        for uid in deleted:
            with pytest.raises(EntryDeletedError):
                store.get(uid, NOON)
    for history in histories:
        assert [commit.sequence for commit in history] == list(range(1, len(history) + 1))
        assert len({commit.id for commit in history}) == len(history)
    return sum(map(len, histories))


def report(title: str, result: Result, commits: int) -> None:
    operations = len(result.uids("added")) + len(result.uids("deleted"))
    written = result.written
    print(
        f"\n{title}: {operations} operations in {result.seconds:.1f} s: {operations / result.seconds:.0f} a second;"
        f" {commits} commits, {commits / result.seconds:.0f} a second;"
        f" written {written['archives']} bytes of archives, {written['metadata']} of metadata;"
        f" {written['conflicts']} conflicts, at most {max(one.most_retries for one in result.outcomes)} in a row;"
        f" {len(result.uids('unknown'))} of unknown end"
    )


def test_twelve_processes_add_and_delete_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    DesStore.init(folder, n_bits=2).close()
    result = run_together(folder, "grouped", 12, OPERATIONS)
    assert result.uids("unknown") == []
    assert len(result.uids("added")) + len(result.uids("deleted")) == 12 * (OPERATIONS // 4 * 4)
    commits = check_store(folder, result)
    report("12 processes", result, commits)


def test_twelve_processes_on_a_failing_storage_lose_and_double_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    DesStore.init(folder, n_bits=1).close()
    result = run_together(folder, "grouped", 12, max(100, OPERATIONS // 20), fault_rate=0.05)
    commits = check_store(folder, result)
    report("12 processes, 5 % of calls fail", result, commits)


def test_sixteen_processes_commit_to_one_shard_and_none_starves(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    DesStore.init(folder, n_bits=0).close()
    result = run_together(folder, "single", 16, 100)
    commits = check_store(folder, result)
    assert commits == 1600
    report("16 processes on one shard", result, commits)


def test_metadata_stays_below_twice_the_archives() -> None:
    metered = MeteredByKind(MemoryObjectStore())
    count, size = 10_000, 4096
    noise = os.urandom(size + count)
    with DesStore.init(metered, n_bits=0, options=StoreOptions(writing=ArchiveOptions(compression="none"))) as store:
        began_at = time.monotonic()
        for number in range(count):
            store.put(number, NOON, noise[number : number + size])
        seconds = time.monotonic() - began_at
        assert len(store.history(DAY, 0)) == count
    archives, metadata = metered.written["archives"], metered.written["metadata"]
    print(
        f"\n{count} single commits in {seconds:.1f} s: {metadata} bytes of metadata, {archives} of archives:"
        f" {metadata / archives:.2f} of the archives, {metadata / (count * size):.2f} of the payloads"
    )
    assert metadata <= 2 * archives
