"""What tests run in processes of its own: `python processes.py add ROOT COUNT` or `... die ACTION MODE ROOT`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from des_format.errors import ObjectChangedError
from des_format.objects import LocalObjectStore

CALLS = "write fsync utime link replace unlink mkdir".split()
OLD = b"old"
NEW = b"new" * 100_000


def add(root: Path, count: int) -> None:
    """Count the object `counter` up, `count` times."""
    store = LocalObjectStore(root)
    while count:
        result = store.get("day/counter")
        number = int(result.buffer())
        try:
            store.put("day/counter", b"%d" % (number + 1), mode={"e_tag": result.meta["e_tag"]})
        except ObjectChangedError:
            continue
        count -= 1


def act(action: str, store: LocalObjectStore) -> None:
    if action == "delete":
        store.delete("day/old")
    elif action == "update":
        store.put("day/old", NEW, mode={"e_tag": store.head("day/old")["e_tag"]})
    elif action == "overwrite":
        store.put("day/old", iter([NEW[:10], NEW[10:]]))
    elif action == "target":
        target = store.target("other/new")
        target.write(NEW)
        target.commit()
    else:
        store.put("other/new", NEW, mode="create")


def die(action: str, mode: str, root: Path) -> None:
    """Run an action in one process after the other, each of which is killed at its n-th call, till one gets through."""
    number = 0
    while True:
        number += 1
        store = LocalObjectStore(root / str(number), create=True)
        store.put("day/old", OLD)
        child = os.fork()
        if child == 0:
            kill_at(number, after=mode == "after")
            act(action, store)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            break
        assert os.WIFSIGNALED(status), f"run {number} ended with {status}"
    print(number - 1)


def kill_at(number: int, *, after: bool) -> None:
    count = 0

    def deadly(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*args, **kwargs)
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))


if __name__ == "__main__":
    if sys.argv[1] == "add":
        add(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        die(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
