"""The command `des store locate`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from ...errors import InvalidInputError
from ..help import examples
from ..output import write_line
from . import options
from .keys import read_key
from .opening import open_store
from .times import parse_duration, parse_time

__all__ = ["locate"]

_SECOND = timedelta(seconds=1)


@examples(
    "des store locate archive report.pdf --created-at 2025-11-25T10:00:00Z",
    "des store locate archive report.pdf --created-at 2025-11-25T10:00:00Z --expires-in 1h --key-file key",
)
def locate(
    url: options.Url,
    uid: options.OneUid,
    created_at: options.CreatedAt,
    expires_in: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Let it expire after a time, such as 15m, 1h or 7d.")
    ] = None,
    key_file: options.KeyFile = None,
) -> None:
    """Print a locator of an entry.

    This is text that `des store get --locator` reads with a single request. It holds until the entry is deleted or its
    archive compacted. A signature proves that the text was not changed; it hides nothing, so treat a locator as a
    password where it grants access.
    """
    key = None if key_file is None else read_key(key_file)
    time = parse_time(created_at)
    expires_at = None if expires_in is None else _expiry(expires_in)
    with open_store(url) as store:
        write_line(store.locator(uid, time, expires_at=expires_at).encode(key))


def _expiry(text: str) -> datetime:
    duration = parse_duration(text)
    if duration < _SECOND:
        raise InvalidInputError(f"--expires-in {text}; a second or more is expected")
    # Locators hold whole seconds; it is not to expire early.
    expires_at = datetime.now(UTC) + duration + _SECOND
    return expires_at.replace(microsecond=0)
