"""Many processes on one store in S3: what is acknowledged is there, once, and is paid for with few requests.

Each entry is a commit of its own, acknowledged before the next one. `DES_STRESS_COMMITS` is the number of commits of
each process; the default keeps the test below a minute and a half on two slow cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from des_format.store import DesStore
from des_s3 import S3ObjectStore
from s3_stress import NOON, Outcome, payload  # the script that the processes run
from servers import S3Server

MakeObjects = Callable[..., S3ObjectStore]
SCRIPT = Path(__file__).with_name("s3_stress.py")
DAY = f"{NOON:%Y%m%d}"
COMMITS = int(os.environ.get("DES_STRESS_COMMITS", "100"))
PROCESSES = 12

# One after the other: each of these takes the whole machine.
pytestmark = pytest.mark.xdist_group("whole machine")


def run_together(server: S3Server, url: str, processes: int, commits: int) -> list[Outcome]:
    """Run processes that all start to work at the same time; every one of them must end well."""
    command = [sys.executable, SCRIPT, url, str(processes), str(commits)]
    output = subprocess.run(command, env=server.environment(), stdout=subprocess.PIPE, text=True, check=True).stdout
    outcomes = [Outcome(**json.loads(line)) for line in output.splitlines()]
    assert len(outcomes) == processes
    return outcomes


def check(objects: S3ObjectStore, outcomes: list[Outcome]) -> None:
    """See that the store holds what was acknowledged, once, by as many commits."""
    added = [uid for outcome in outcomes for uid in outcome.added]
    assert len(set(added)) == len(added)
    with DesStore.open(objects) as store:
        listed = Counter(found.entry.name for found in store.list(DAY))
        assert listed == Counter(added)
        wanted = {(uid, NOON): payload(uid) for uid in added}
        assert store.get_many(wanted) == wanted
        histories = [store.history(DAY, shard) for shard in store.shards(DAY)]
    for history in histories:
        assert [commit.sequence for commit in history] == list(range(1, len(history) + 1))
        assert len({commit.id for commit in history}) == len(history)
    assert sum(map(len, histories)) == len(added)


def report(title: str, outcomes: list[Outcome]) -> None:
    seconds = max(one.ended_at for one in outcomes) - min(one.began_at for one in outcomes)
    commits = sum(len(one.added) for one in outcomes)
    requests: Counter[str] = Counter()
    for outcome in outcomes:
        requests.update(outcome.requests)
    retries = sorted(retries for one in outcomes for retries in one.retries)
    print(
        f"\n{title}: {commits} commits in {seconds:.1f} s, {commits / seconds:.0f} a second;"
        f" {requests.total() / commits:.2f} requests each;"
        f" lost against others {sum(retries) / commits:.2f} times each, at most {retries[-1]} times in a row,"
        f" 99 % at most {retries[len(retries) * 99 // 100]};"
        f" requests: {', '.join(f'{count} {name}' for name, count in sorted(requests.items()))}"
    )


@pytest.mark.parametrize("n_bits", [2])
def test_many_processes_commit_and_nothing_is_lost_or_doubled(
    s3_server: S3Server, make_objects: MakeObjects, shared_bucket: str, prefix: str, n_bits: int
) -> None:
    DesStore.init(make_objects(), n_bits=n_bits).close()
    # moto runs one request after the other, each for some milliseconds.
    processes, commits = (PROCESSES, COMMITS) if s3_server.name == "ceph" else (4, max(1, COMMITS // 8))
    url = f"s3://{shared_bucket}/{prefix}?endpoint_url={s3_server.endpoint_url}"
    outcomes = run_together(s3_server, url, processes, commits)
    assert sum(len(one.added) for one in outcomes) == processes * commits
    check(make_objects(), outcomes)
    report(f"{s3_server.name}, {processes} processes on {2**n_bits} shards", outcomes)
