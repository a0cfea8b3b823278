"""What a probe finds out about services that can everything, and about others; what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from des_format.errors import AccessDeniedError, ConfigurationError, UnavailableError
from des_s3 import S3ObjectStore
from des_s3.probes import probe
from des_s3.probes.judging import race_is_lost
from des_s3.probing import FEATURES, Finding, ProbeReport, Verdict

from .proxy import Checksums, Proxy, Request

Make = Callable[..., S3ObjectStore]
YES, NO, IGNORED, UNKNOWN = Verdict.YES, Verdict.NO, Verdict.IGNORED, Verdict.UNKNOWN


def report(**verdicts: Verdict) -> ProbeReport:
    """A report of a service that can everything, except for these."""
    return ProbeReport([Finding(feature, verdicts.get(feature.name, YES)) for feature in FEATURES])


@pytest.mark.parametrize(
    ("verdicts", "is_safe", "quotes"),
    [
        ({}, True, True),
        ({"replace_bare": NO}, True, True),
        ({"replace_quoted": NO}, True, False),
        ({"replace_quoted": NO, "replace_bare": NO}, False, None),
        ({"replace_bare": IGNORED}, False, None),
        ({"create": IGNORED}, False, True),
        ({"create_race": NO}, False, True),
        ({"replace_race": UNKNOWN}, False, True),
        ({feature.name: NO for feature in FEATURES if "re" not in feature.name}, True, True),
    ],
)
def test_commits_are_safe_where_conditional_writes_were_seen_to_work(
    verdicts: dict[str, Verdict], is_safe: bool, quotes: bool | None
) -> None:
    found = report(**verdicts)
    assert (found.commits_are_safe, found.if_match_quotes) == (is_safe, quotes)


def test_names_are_unique_and_every_verdict_has_a_meaning() -> None:
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(Finding(feature, verdict).meaning for feature in FEATURES for verdict in Verdict)


@pytest.mark.parametrize(
    ("statuses", "left", "why"),
    [
        ([200, 412, 409], b"a", None),
        ([412, 200, 412], b"a", "1 of 3"),  # the object is not the winner's
        ([200, 200, 412], b"a", "2 of 3"),
        ([412, 503, 412], b"b", None),  # who was not told may have won
        ([412, 503, 412], b"a", "0 of 3"),
        ([200, 503, 412], b"b", "1 of 3"),
        ([412, 412, 412], b"a", "0 of 3"),
    ],
)
def test_of_those_who_race_one_wins(statuses: list[int], left: bytes, why: str | None) -> None:
    found = race_is_lost(statuses, [b"a", b"b", b"c"], left)
    assert found == (None if why is None else f"{why} were told that they had won")


def verdicts(found: ProbeReport) -> dict[str, Verdict]:
    return {finding.feature.name: finding.verdict for finding in found.findings}


def names(store: S3ObjectStore) -> list[str]:
    return [meta["path"] for page in store.list() for meta in page]


def test_a_service_that_can_everything(make_store: Make) -> None:
    store = make_store()
    store.put("mine", b"content")
    found = probe(store)
    # It believes every checksum, as the real one would not.
    assert verdicts(found) == {feature.name: YES for feature in FEATURES} | {
        "content_md5": IGNORED,
        "crc32c": IGNORED,
        "crc32c_parts": IGNORED,
        "versioning": NO,
        "object_lock": NO,
    }
    assert found.commits_are_safe
    assert found.if_match_quotes is True
    assert found.left == []
    assert names(store) == ["mine"]


def test_a_service_that_verifies_checksums(make_store: Make, proxy: Proxy) -> None:
    proxy.checksums = Checksums()
    found = probe(make_store(endpoint_url=proxy.url))
    assert found.verifies_crc32c
    assert found.left == []
    proxy.rewrite = _refuse("x-amz-checksum-crc32c", 400)
    found = probe(make_store(endpoint_url=proxy.url))
    assert (found.verdict("crc32c"), found.verdict("crc32c_parts")) == (NO, NO)
    assert not found.verifies_crc32c
    assert found.left == []


def _strip(*headers: str, method: str = "PUT") -> Callable[[Request], int | None]:
    """A service that does not know some headers."""

    def rewrite(request: Request) -> int | None:
        if request.method == method:
            for header in headers:
                request.headers.pop(header, None)
        return None

    return rewrite


def _refuse(header: str, status: int) -> Callable[[Request], int | None]:
    return lambda request: status if request.method == "PUT" and header in request.headers else None


def _refuse_quotes(request: Request) -> int | None:
    tag = request.headers.get("if-match")
    if request.method == "PUT" and tag is not None:
        if tag.startswith('"'):
            return 412
        request.headers["if-match"] = f'"{tag}"'
    return None


@pytest.mark.parametrize(
    ("rewrite", "expected", "is_safe"),
    [
        (_strip("if-none-match"), {"create": IGNORED, "create_race": NO}, False),
        (_strip("if-match"), {"replace_quoted": IGNORED, "replace_bare": IGNORED, "replace_race": NO}, False),
        (_refuse("if-none-match", 501), {"create": NO, "create_race": NO}, False),
        (_refuse("if-match", 501), {"replace_quoted": NO, "replace_bare": NO, "replace_race": NO}, False),
        (_refuse_quotes, {"replace_quoted": NO, "replace_bare": YES, "replace_race": YES}, True),
        (_strip("range", method="GET"), {"range": IGNORED, "suffix": IGNORED}, True),
        (_strip("if-match", "if-none-match", method="GET"), {"get_if_match": IGNORED}, True),
    ],
)
def test_a_service_that_lacks_something(
    make_store: Make, proxy: Proxy, rewrite: Any, expected: dict[str, Verdict], is_safe: bool
) -> None:
    proxy.rewrite = rewrite
    found = probe(make_store(endpoint_url=proxy.url))
    assert {name: verdict for name, verdict in verdicts(found).items() if name in expected} == expected
    assert found.commits_are_safe is is_safe
    assert names(make_store()) == []


def test_what_may_not_be_asked_is_unknown(make_store: Make, proxy: Proxy) -> None:
    proxy.rewrite = lambda request: 403 if {"versioning", "object-lock"} & request.query.keys() else None
    found = probe(make_store(endpoint_url=proxy.url))
    assert (found.verdict("versioning"), found.verdict("object_lock")) == (UNKNOWN, UNKNOWN)
    assert found.commits_are_safe


def test_versions_are_removed_too(endpoint_url: str, session: Any, client: Any) -> None:
    client.create_bucket(Bucket="versions", ObjectLockEnabledForBucket=True)
    with S3ObjectStore("versions", "a/b", endpoint_url=endpoint_url, session=session) as store:
        found = probe(store)
    assert (found.verdict("versioning"), found.verdict("object_lock")) == (YES, YES)
    assert "Versions" not in client.list_object_versions(Bucket="versions")
    assert "DeleteMarkers" not in client.list_object_versions(Bucket="versions")


def test_what_cannot_be_removed_is_told(make_store: Make, proxy: Proxy) -> None:
    proxy.rewrite = lambda request: 403 if request.method == "DELETE" else None
    store = make_store(endpoint_url=proxy.url)
    (left,) = probe(store).left
    assert left.startswith(f"{store.prefix}des-probe-")


def test_a_bucket_that_is_missing_closed_or_out_of_reach_is_an_error(
    make_store: Make, proxy: Proxy, endpoint_url: str, session: Any
) -> None:
    with (
        S3ObjectStore("no-such-bucket", endpoint_url=endpoint_url, session=session) as store,
        pytest.raises(ConfigurationError, match="NoSuchBucket"),
    ):
        probe(store)
    proxy.rewrite = lambda request: 403
    with pytest.raises(AccessDeniedError):
        probe(make_store(endpoint_url=proxy.url))
    with pytest.raises(UnavailableError):
        probe(make_store(endpoint_url="http://127.0.0.1:1"))
