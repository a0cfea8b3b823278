"""Where a verification ended, kept in a file for the next run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...durable import TemporaryFile
from ...errors import ConfigurationError, InvalidInputError

__all__ = ["load_cursor", "save_cursor"]


def load_cursor(path: Path, store_id: str) -> str | None:
    """Return the key to go on after; None to begin at the beginning, also when there is no file yet.

    Raises:
        InvalidInputError: The file is something else.
        ConfigurationError: It is about another store.
    """
    try:
        value: Any = json.loads(path.read_bytes())
        found, after = value["store_id"], value["resume_after"]
        if not isinstance(after, str | None):
            raise TypeError(f"resume_after is {after!r}")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"{path} was not written by `des store verify --state`: {error!r}") from error
    if found != store_id:
        raise ConfigurationError(f"{path} is about store {found!r}, this is store {store_id}; take another file")
    return after


def save_cursor(path: Path, store_id: str, after: str | None) -> None:
    """Write the file in one step, so that a run that is killed leaves the old one."""
    value = {"store_id": store_id, "resume_after": after}
    with TemporaryFile(path.parent, path.name) as file:
        file.write(json.dumps(value).encode() + b"\n")
        file.publish(path, replace=True)
