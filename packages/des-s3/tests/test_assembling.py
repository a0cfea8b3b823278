"""Objects that begin with bytes of another one: which requests, what fails, and what is left of it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from des_format.errors import AccessDeniedError, UnavailableError, UnsupportedOperationError
from des_format.ports.objects import Assembles, Front
from des_format.store import DesStore, NewEntry
from des_format.testing.contracts import AssemblesContract
from des_s3 import S3ObjectStore
from des_s3.assembling import LEAST_FRONT_BYTES, part_bytes
from des_s3.multipart import MAX_PART_COUNT
from des_s3.settings import S3Settings

from .proxy import Checksums, Proxy, Request

PART = LEAST_FRONT_BYTES
CONTENT = os.urandom(3 * PART + 1000)
NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
Make = Callable[..., S3ObjectStore]


@pytest.fixture
def front(make_store: Make) -> Front:
    """An object, whose first bytes are to be copied."""
    return Front("a", len(CONTENT), make_store().put("a", CONTENT)["e_tag"])


class TestS3Assembles(AssemblesContract):
    @pytest.fixture(params=["obstore", "boto"])
    def store(self, make_store: Make, request: pytest.FixtureRequest) -> S3ObjectStore:
        return make_store(engine=request.param)


def is_copy(request: Request) -> bool:
    return "x-amz-copy-source" in request.headers


def test_what_is_copied_does_not_pass_the_network(make_store: Make, proxy: Proxy, front: Front) -> None:
    store = make_store(endpoint_url=proxy.url)
    assert isinstance(store, Assembles)
    with proxy.counting() as counts:
        store.assemble("b", front, b"more")
    # Three copied parts, and one of what is over and what follows.
    assert counts == {"CREATE": 1, "PART": 4, "GET": 1, "HEAD": 1, "COMPLETE": 1}
    copies = [request for request in proxy.requests if is_copy(request)]
    ranges = sorted(request.headers["x-amz-copy-source-range"] for request in copies)
    assert ranges == sorted(f"bytes={n * PART}-{(n + 1) * PART - 1}" for n in range(3))
    assert {request.headers["x-amz-copy-source-if-match"] for request in copies} == {front.e_tag}
    assert sum(request.size for request in proxy.requests if request.operation == "PART") == 1000 + len(b"more")
    assert store.get("b").data == CONTENT + b"more"


@pytest.mark.parametrize(
    ("status", "kind"), [(403, AccessDeniedError), (405, UnsupportedOperationError), (501, UnsupportedOperationError)]
)
def test_a_refusal_leaves_nothing(
    make_store: Make,
    proxy: Proxy,
    client: Any,
    bucket: str,
    prefix: str,
    front: Front,
    status: int,
    kind: type[Exception],
) -> None:
    proxy.rewrite = lambda request: status if is_copy(request) else None
    with pytest.raises(kind):
        make_store(endpoint_url=proxy.url).assemble("b", front, b"more")
    assert [meta["path"] for page in make_store().list() for meta in page] == ["a"]
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket, Prefix=prefix)


def test_a_copy_that_fails_for_a_moment_is_repeated(make_store: Make, proxy: Proxy, front: Front) -> None:
    fault = proxy.fail("status", "PART", times=2)
    make_store(endpoint_url=proxy.url).assemble("b", front, b"more")
    assert fault.hits == 2
    assert make_store().get("b").data == CONTENT + b"more"


def test_a_lost_reply_to_the_completion_is_seen_through(make_store: Make, proxy: Proxy, front: Front) -> None:
    fault = proxy.fail("lose_reply", "COMPLETE")
    made = make_store(endpoint_url=proxy.url).assemble("b", front, b"more")
    assert fault.hits == 1
    found = make_store().get("b")
    assert (found.data, found.meta["e_tag"]) == (CONTENT + b"more", made["e_tag"])


def test_an_answer_without_a_tag_is_no_copy(make_store: Make, proxy: Proxy, front: Front) -> None:
    proxy.rewrite_body = lambda request, body: body if not is_copy(request) else b"<CopyPartResult></CopyPartResult>"
    with pytest.raises(UnsupportedOperationError, match="copied no part"):
        make_store(endpoint_url=proxy.url).assemble("b", front, b"more")


def test_an_error_in_an_answer_of_success_is_an_error(make_store: Make, proxy: Proxy, front: Front) -> None:
    error = b"<Error><Code>InternalError</Code><Message>no</Message></Error>"
    proxy.rewrite_body = lambda request, body: error if is_copy(request) else body
    with pytest.raises(UnavailableError):
        make_store(endpoint_url=proxy.url).assemble("b", front, b"more")


def test_parts_that_are_uploaded_carry_their_checksums(make_store: Make, proxy: Proxy, front: Front) -> None:
    proxy.checksums = Checksums()
    make_store(endpoint_url=proxy.url, upload_checksums="crc32c").assemble("b", front, b"more")
    assert proxy.checksums.verified["PART"] == 1
    assert make_store().get("b").data == CONTENT + b"more"


def test_the_key_of_a_customer_is_sent_for_both_objects() -> None:
    settings = S3Settings(sse={"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32})
    extras = settings.extras("upload_part_copy")
    assert extras["SSECustomerKey"] == extras["CopySourceSSECustomerKey"] == "k" * 32


@pytest.fixture
def entries(make_store: Make) -> dict[str, bytes]:
    """The entries of a new store: 10 MiB in an older archive, and 2 in a newer one."""
    numbers = random.Random(1)
    entries = {str(number): numbers.randbytes(1 << 20) for number in range(12)}
    store = DesStore.init(make_store(), n_bits=0)
    for batch in (list(entries)[:10], list(entries)[10:]):
        store.put_many([NewEntry(uid, NOON, entries[uid]) for uid in batch])
    return entries


def check(make_store: Make, entries: dict[str, bytes]) -> None:
    store = DesStore.open(make_store())
    assert len(store.archives("20251125", 0)) == 1
    assert {uid: store.get(uid, NOON) for uid in entries} == entries
    report = store.verify()
    assert report.ok, report.problems


def test_a_compaction_that_may_not_copy_writes_everything_anew(
    make_store: Make, proxy: Proxy, entries: dict[str, bytes]
) -> None:
    proxy.rewrite = lambda request: 403 if is_copy(request) else None
    (done,) = DesStore.open(make_store(endpoint_url=proxy.url)).compact(full=True)
    assert done.copied_bytes == 0
    assert "AccessDenied" in done.refusal
    check(make_store, entries)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("reset", {}), ("lose_reply", {}), ("cut_body", {}), ("status", {"status": 500, "code": "InternalError"})],
)
@pytest.mark.parametrize(
    ("operation", "skip"), [("CREATE", 0), ("PART", 0), ("PART", 1), ("COMPLETE", 0), ("HEAD", 0), ("GET", 9)]
)
def test_a_compaction_that_copies_survives_a_failure(
    make_store: Make,
    proxy: Proxy,
    entries: dict[str, bytes],
    kind: Any,
    options: dict[str, Any],
    operation: str,
    skip: int,
) -> None:
    store = DesStore.open(make_store(endpoint_url=proxy.url))
    fault = proxy.fail(kind, operation, skip=skip, **options)
    (done,) = store.compact(full=True)
    assert fault.hits == 1
    assert (done.copied_bytes > 10 << 20, done.refusal) == (True, "")
    check(make_store, entries)


def test_parts_grow_so_that_what_is_copied_fits() -> None:
    for length in (PART, 10 << 30, 1 << 40, (5 << 40) - 1):
        size = part_bytes(length)
        assert size % PART == 0
        assert length / size <= MAX_PART_COUNT / 2
        assert size <= 5 << 30
    assert part_bytes(31 << 30) == PART
