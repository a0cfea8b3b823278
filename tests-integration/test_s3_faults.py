"""A store in S3 behind a network that fails by a schedule: nothing acknowledged is lost, nothing happens twice.

`DES_FAULT_SCHEDULES` is how many schedules are run, `DES_FAULT_FIRST` the number of the first one, to see one again, or
`random` for others each time; a number is all that a schedule follows from, and is told where one fails. moto, which is
slow, gets a twentieth of them. A schedule takes 0.15 s of a core, a third of it the server's, so that the default takes
some 40 s on two free cores, and `DES_FAULT_SCHEDULES=5000` six minutes.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from des_format.store import DesStore
from des_s3 import S3ObjectStore
from servers import S3Server

MakeObjects = Callable[..., S3ObjectStore]
SCRIPT = Path(__file__).with_name("s3_faults.py")
SCHEDULES = int(os.environ.get("DES_FAULT_SCHEDULES", "500"))
FIRST = os.environ.get("DES_FAULT_FIRST", "0")
RANDOM_FIRST = 1_000_000
"""Each schedule has a day of its own, from 1950 on."""
PROCESSES = 2

# One after the other: each of these takes the whole machine.
pytestmark = pytest.mark.xdist_group("whole machine")


def outputs(server: S3Server, bucket: str, prefix: str, first: int, count: int) -> list[bytes]:
    """Run processes that share the schedules, each of which must end well."""
    quotes = "bare" if server.name == "ceph" else "quoted"
    started = []
    for number in range(min(PROCESSES, count)):
        numbers = [first + number, first + count, PROCESSES]
        command = [sys.executable, SCRIPT, server.endpoint_url, bucket, prefix, quotes, *map(str, numbers)]
        started.append(subprocess.Popen(command, env=server.environment(), stdout=subprocess.PIPE))
    told = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started)
    return told


def test_what_is_acknowledged_is_there_once_however_the_network_fails(
    s3_server: S3Server, make_objects: MakeObjects, shared_bucket: str, prefix: str
) -> None:
    count = SCHEDULES if s3_server.name == "ceph" else max(1, SCHEDULES // 20)
    first = random.SystemRandom().randrange(RANDOM_FIRST) if FIRST == "random" else int(FIRST)
    print(f"\n{s3_server.name}: DES_FAULT_FIRST={first} DES_FAULT_SCHEDULES={count}", flush=True)
    DesStore.init(make_objects(), n_bits=0).close()
    began_at = time.monotonic()
    tallies = [json.loads(output) for output in outputs(s3_server, shared_bucket, prefix, first, count)]
    schedules, requests = (sum(tally[name] for tally in tallies) for name in ("schedules", "requests"))
    faults, operations = (
        sum((Counter(tally[name]) for tally in tallies), Counter()) for name in ("faults", "operations")
    )
    print(
        f"{s3_server.name}: {schedules} schedules in {time.monotonic() - began_at:.1f} s; {requests} requests,"
        f" {faults.total()} faults: {dict(faults)}; operations: {dict(operations)}"
    )
    assert schedules == count
    assert faults.total() > count
