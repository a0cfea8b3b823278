"""Ask an object store whether its conditional writes work: without them, commits lose data.

Source: docs/store-format.md, section "What an object store must do".
"""

from __future__ import annotations

from ...errors import ObjectChangedError, ObjectExistsError, UnsupportedOperationError
from ..model.ids import new_id
from ..sansio.effects import Data, Delete, Effects, ReadAll, Write, ask

__all__ = ["check_conditional_writes"]


def check_conditional_writes() -> Effects[None]:
    """Write, replace and remove one small object, and see that every wrong condition is refused.

    Raises:
        UnsupportedOperationError: A condition is ignored or refused altogether.
    """
    key = f"des-probe-{new_id()}"
    try:
        yield from ask(Write(key, b"1"))
        yield from _expect_refusal(Write(key, b"2"), "to create an object that exists")
        found: Data = yield from ask(ReadAll(key))
        if found.data != b"1" or found.e_tag is None:
            raise UnsupportedOperationError(
                "this object store gives objects no version (ETag), so commits are not safe here"
            )
        yield from _replace(key, found.e_tag)
        yield from _expect_refusal(Write(key, b"4", found.e_tag), "to replace a version that was replaced before")
    finally:
        yield [Delete([key])]


def _replace(key: str, e_tag: str) -> Effects[None]:
    try:
        yield from ask(Write(key, b"3", e_tag))
    except (ObjectChangedError, UnsupportedOperationError) as error:
        raise UnsupportedOperationError(
            "this object store cannot replace an object on condition that it did not change (If-Match),"
            f" so commits are not safe here: {error}"
        ) from error


def _expect_refusal(write: Write, what: str) -> Effects[None]:
    try:
        yield from ask(write)
    except (ObjectExistsError, ObjectChangedError):
        return
    raise UnsupportedOperationError(f"this object store does not refuse {what}, so commits are not safe here")
