"""Many processes on one folder, and processes that are killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from des_format.objects import LocalObjectStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and flock")

SCRIPT = Path(__file__).with_name("processes.py")
OLD = b"old"
NEW = b"new" * 100_000


def test_no_update_of_eight_processes_is_lost(tmp_path: Path) -> None:
    LocalObjectStore(tmp_path).put("day/counter", b"0")
    command = [sys.executable, str(SCRIPT), "add", str(tmp_path), "200"]
    running = [subprocess.Popen(command) for _ in range(8)]
    assert [process.wait(timeout=100) for process in running] == [0] * 8
    assert bytes(LocalObjectStore(tmp_path).get("day/counter").buffer()) == b"1600"


@pytest.mark.parametrize("mode", ["before", "after"])
@pytest.mark.parametrize("action", ["create", "overwrite", "update", "target", "delete"])
def test_a_killed_process_leaves_the_old_or_the_new(tmp_path: Path, action: str, mode: str) -> None:
    command = [sys.executable, str(SCRIPT), "die", action, mode, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
    seen = set()
    for number in range(1, int(done.stdout) + 2):
        store = LocalObjectStore(tmp_path / str(number))
        found = {meta["path"]: bytes(store.get(meta["path"]).buffer()) for chunk in store.list() for meta in chunk}
        seen.add(tuple(sorted(found.items())))
        # Nothing that the dead left behind is in the way.
        store.put("day/old", b"next")
        store.put("day/old", b"last", mode={"e_tag": store.head("day/old")["e_tag"]})
        store.delete(["day/old", "other/new"])
        store.put("other/new", b"", mode="create")
    before = (("day/old", OLD),)
    after = {
        "create": (("day/old", OLD), ("other/new", NEW)),
        "target": (("day/old", OLD), ("other/new", NEW)),
        "delete": (),
    }.get(action, (("day/old", NEW),))
    assert seen <= {before, after}
    assert after in seen
    assert before in seen or (action, mode) == ("delete", "after")  # it begins with what takes effect
