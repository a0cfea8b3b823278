"""Ask all questions, and put the answers together."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError
from des_format.errors import UnavailableError

from ..failures import VENDOR_ERRORS, translated
from ..probing import FEATURES, Finding, ProbeReport
from ..store import S3ObjectStore
from .changes import Changes
from .conditions import Conditions
from .judging import Answered, judge_error, status_of
from .reads import CONTENT, OBJECT, Reads
from .requests import ProbeRequests
from .settings import BucketSettings

__all__ = ["probe"]


def probe(objects: S3ObjectStore) -> ProbeReport:
    """Try every feature of `FEATURES`; takes about a hundred small requests, each sent once.

    Everything is written below `des-probe-...` in the store's prefix, and removed at the end.

    Raises:
        AccessDeniedError: Objects may not be written and read there.
        ConfigurationError: There is no such bucket.
        UnavailableError: The service cannot be reached.
    """
    requests = ProbeRequests(objects)
    settings = BucketSettings(requests)
    asked_about = (Conditions(requests), Reads(requests), Changes(requests), settings)
    questions = {name: ask for topic in asked_about for name, ask in topic.questions.items()}
    try:
        _begin(requests)
        findings = [Finding(feature, *_ask(requests, questions[feature.name])) for feature in FEATURES]
    finally:
        left = requests.remove(versions=settings.is_versioned)
    return ProbeReport(findings, left)


def _begin(requests: ProbeRequests) -> None:
    """See that objects can be written and read at all."""
    try:
        requests.put(OBJECT, CONTENT)
        found = requests.read(OBJECT)
    except VENDOR_ERRORS as error:
        raise translated(error, requests.prefix + OBJECT, "overwrite") from error
    if found != CONTENT:
        raise UnavailableError(f"object {requests.prefix}{OBJECT}: read {found!r}, wrote {CONTENT!r}")


def _ask(requests: ProbeRequests, question: Callable[[], Answered]) -> Answered:
    try:
        return question()
    except ClientError as error:
        return judge_error(status_of(error))
    except VENDOR_ERRORS as error:
        raise translated(error, requests.prefix) from error
