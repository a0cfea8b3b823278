"""Processes that commit to one store in a bucket, entry by entry, and say what was acknowledged.

One interpreter imports what they need and forks: importing it twelve times would take as long as the work. Credentials
come from the environment.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from des_format.store import DesStore
from des_s3 import open_s3

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
START_SECONDS = 120.0


def payload(uid: str) -> bytes:
    """What an entry must hold."""
    return (uid * 8).encode()


@dataclass
class Outcome:
    """What a process was told, and asked for.

    Attributes:
        added: Entries that were acknowledged.
        retries: How often each of their commits lost against others.
        requests: Requests by operation and outcome, all of them but that for the descriptor.
        began_at: When it began to work, in seconds of a clock that all processes share.
        ended_at: When it had its last acknowledgement.
    """

    added: list[str] = field(default_factory=list)
    retries: list[int] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    began_at: float = 0.0
    ended_at: float = 0.0


def work(url: str, name: str, count: int, start: Barrier, outcomes: Queue[Outcome]) -> None:
    """Wait for the others, add entries one by one, and tell."""
    outcome = Outcome()
    with open_s3(url) as objects, DesStore.open(objects) as store:
        start.wait(START_SECONDS)
        outcome.began_at = time.monotonic()
        for number in range(count):
            uid = f"{name}-{number}"
            outcome.retries.append(store.put(uid, NOON, payload(uid)).retries)
            outcome.added.append(uid)
        outcome.ended_at = time.monotonic()
        requests: Counter[str] = Counter()
        for metric in objects.metrics.requests.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total"):
                    requests[f"{sample.labels['operation']} {sample.labels['outcome']}"] += int(sample.value)
    requests["get_object ok"] -= 1
    outcome.requests = dict(requests)
    outcomes.put(outcome)


def main(url: str, process_count: int, commit_count: int) -> None:
    """Run the processes, and print an outcome a line; the exit code says whether all ended well."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(process_count)
    outcomes: Queue[Outcome] = context.Queue()
    processes = [
        context.Process(target=work, args=(url, f"p{number}", commit_count, start, outcomes), daemon=True)
        for number in range(process_count)
    ]
    for process in processes:
        process.start()
    told = 0
    while told < process_count and not any(process.exitcode for process in processes):
        if not outcomes.empty():
            print(json.dumps(vars(outcomes.get())), flush=True)
            told += 1
        else:
            time.sleep(0.05)
    if told < process_count:
        sys.exit("a process failed")
    for process in processes:
        process.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
