"""What an answer says of a service. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from botocore.exceptions import ClientError

from ..probing import Verdict

__all__ = [
    "MISSING",
    "REFUSALS",
    "Answered",
    "is_success",
    "judge_error",
    "judge_range",
    "judge_refusal",
    "race_is_lost",
    "status_of",
]

Answered = tuple[Verdict, str]
"""A verdict, and what the service answered."""

REFUSALS = frozenset({304, 400, 404, 409, 412})
MISSING = frozenset({405, 501})


def status_of(error: ClientError) -> int:
    """The status that a request was answered with; 0 for none."""
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def is_success(status: int) -> bool:
    """Whether something was done."""
    return 200 <= status < 300


def judge_error(status: int) -> Answered:
    """Judge by a question that could not be asked to its end."""
    return (Verdict.NO if status in {400, *MISSING} else Verdict.UNKNOWN), str(status)


def judge_refusal(status: int) -> Answered:
    """Judge by the answer to a request that has to be refused."""
    if is_success(status):
        return Verdict.IGNORED, f"{status} for what had to be refused"
    if status in MISSING:
        return Verdict.NO, str(status)
    return (Verdict.YES if status in REFUSALS else Verdict.UNKNOWN), str(status)


def judge_range(found: bytes, expected: bytes, whole: bytes) -> Answered:
    """Judge by what was sent for a range."""
    if found == expected:
        return Verdict.YES, ""
    return (Verdict.IGNORED, "sends the whole object") if found == whole else (Verdict.NO, f"sends {found!r}")


def race_is_lost(statuses: Sequence[int], written: Sequence[bytes], left: bytes) -> str | None:
    """Judge a race of writers on the same condition, of which one may win.

    Args:
        statuses: What each was answered.
        written: What each wrote.
        left: What the object is afterwards.

    Returns:
        Why the service failed; None where one won, and it is his object that is there.
    """
    winners = [racer for racer, status in enumerate(statuses) if status < 300]
    # One whose end is in doubt (5xx) may have won, if nobody else did.
    possible = winners or [racer for racer, status in enumerate(statuses) if status >= 500]
    if len(winners) > 1 or left not in [written[racer] for racer in possible]:
        return f"{len(winners)} of {len(statuses)} were told that they had won"
    return None
