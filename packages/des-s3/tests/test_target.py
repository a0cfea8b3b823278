"""Objects written front to back: sizes around the limits of parts, memory, failures, and what is left of them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from des_format import DesReader, DesWriter
from des_format.errors import (
    ConfigurationError,
    InvalidInputError,
    ObjectChangedError,
    ObjectExistsError,
    UnavailableError,
)
from des_format.ports.objects import Creates
from des_format.targets import Target
from des_s3 import S3ObjectStore, S3RangeSource, S3Target
from des_s3.multipart import MAX_PART_COUNT, MIN_PART_BYTES, Upload, part_sizes

from .proxy import Proxy, Request

PART = MIN_PART_BYTES
CONTENT = os.urandom(2 * PART + 1)
Make = Callable[..., S3ObjectStore]


def test_the_store_and_its_target_are_what_writers_look_for(make_store: Make) -> None:
    store = make_store()
    assert isinstance(store, Creates)
    assert isinstance(store.target("a"), Target)


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 1])
def test_an_object_of_any_size_appears_by_commit(make_store: Make, proxy: Proxy, size: int) -> None:
    store = make_store(endpoint_url=proxy.url)
    target = S3Target(store, "a", part_size=PART)
    for start in range(0, size, 1_000_000):
        target.write(CONTENT[start : min(size, start + 1_000_000)])
    assert list(store.list()) == []
    with proxy.counting() as counts:
        target.commit()
    part_count = -(-size // PART)
    if part_count < 2:
        assert counts == {"PUT": 1}
    else:
        # On a busy machine all parts may still be on their way.
        assert 1 <= counts["PART"] <= part_count
        assert counts - Counter(PART=counts["PART"]) == {"HEAD": 1, "COMPLETE": 1}
    result = store.get("a")
    assert result.data == CONTENT[:size]
    assert result.meta["e_tag"] == target.e_tag
    assert (f'-{part_count}"' in (target.e_tag or "")) is (part_count > 1)


def test_what_is_rolled_back_leaves_nothing(make_store: Make, client: Any, proxy: Proxy) -> None:
    store = make_store(endpoint_url=proxy.url)
    for size in (10, 2 * PART + 1):
        target = store.target("a", part_size=PART)
        target.write(CONTENT[:size])
        target.rollback()
    assert list(store.list()) == []
    assert _uploads(client, store) == []


def _uploads(client: Any, store: S3ObjectStore) -> list[str]:
    found = client.list_multipart_uploads(Bucket=store.bucket, Prefix=store.prefix).get("Uploads", [])
    return [upload["Key"] for upload in found]


@pytest.mark.parametrize("size", [10, PART + 1])
def test_a_key_that_is_taken_is_not_replaced(make_store: Make, client: Any, size: int) -> None:
    store = make_store()
    target = store.target("a", part_size=PART)
    target.write(CONTENT[:size])
    store.put("a", b"first")
    with pytest.raises(ObjectExistsError):
        target.commit()
    target.rollback()
    assert store.get("a").data == b"first"
    assert _uploads(client, store) == []


def test_a_server_that_ignores_conditions_of_a_completion_is_asked_before(make_store: Make, proxy: Proxy) -> None:
    def rewrite(request: Any) -> None:
        if request.operation == "COMPLETE":
            request.headers.pop("if-none-match", None)
            request.headers.pop("if-match", None)

    proxy.rewrite = rewrite
    store = make_store(endpoint_url=proxy.url)
    tag = store.put("a", b"first")["e_tag"]
    target = store.target("a", part_size=PART)
    target.write(CONTENT)
    with pytest.raises(ObjectExistsError):
        target.commit()
    target.rollback()
    store.put("a", b"second")
    upload = Upload(store._caller, f"{store.prefix}a", {"e_tag": tag}, store._quotes, part_size=PART)
    upload.write(CONTENT)
    with pytest.raises(ObjectChangedError):
        upload.finish()
    upload.abort()
    assert store.get("a").data == b"second"


@pytest.mark.parametrize("has_md5_tags", [True, False])
def test_a_completion_that_does_not_say_the_version_is_looked_up(
    make_store: Make, proxy: Proxy, monkeypatch: Any, has_md5_tags: bool
) -> None:
    def rewrite_body(request: Request, body: bytes) -> bytes:
        return re.sub(b"<ETag>.*?</ETag>", b"<ETag></ETag>", body) if request.operation == "COMPLETE" else body

    proxy.rewrite_body = rewrite_body
    if not has_md5_tags:
        monkeypatch.setattr("des_s3.multipart._tag_of_parts", lambda tags: None)
    store = make_store(endpoint_url=proxy.url)
    target = store.target("a", part_size=PART)
    target.write(CONTENT)
    target.commit()
    assert target.e_tag == store.head("a")["e_tag"]


def test_large_content_is_put_in_parts(make_store: Make, proxy: Proxy, tmp_path: Any) -> None:
    store = make_store(endpoint_url=proxy.url)
    tag = store.put("a", b"first")["e_tag"]
    pieces = [CONTENT[:7_000_000], CONTENT[7_000_000:]]
    with proxy.counting() as counts:
        made = store.put("a", iter(pieces), mode={"e_tag": tag})
    assert counts == {"CREATE": 1, "PART": 2, "HEAD": 1, "COMPLETE": 1}
    assert store.get("a", options={"if_match": made["e_tag"]}).data == CONTENT


def test_at_most_so_many_parts_are_on_their_way(make_store: Make, proxy: Proxy, monkeypatch: Any) -> None:
    store = make_store(endpoint_url=proxy.url)
    proxy.fail("delay", "PART", times=99, seconds=0.05)
    target = store.target("a", part_size=PART, max_parallel_parts=2)
    held = []
    for _ in range(5):
        target.write(bytes(PART))
        upload = target._upload
        running = [part for part in upload._parts if not part.done()]
        held.append(len(running))
        assert len(upload._buffer) <= PART
    assert max(held) <= 2
    target.commit()
    assert store.head("a")["size"] == 5 * PART


def test_parts_grow_so_that_five_tebibytes_fit() -> None:
    sizes = part_sizes("adaptive")
    assert sizes(0) == 8 << 20
    assert sum(map(sizes, range(MAX_PART_COUNT))) >= 5 << 40
    assert sizes(MAX_PART_COUNT - 1) < 5 << 30
    total = number = 0
    while total < 16 << 30:
        total += sizes(number)
        number += 1
    assert sizes(number) < 40 << 20


@pytest.mark.parametrize("arguments", [{"part_size": MIN_PART_BYTES - 1}, {"max_parallel_parts": 0}])
def test_limits_that_cannot_work_are_refused(make_store: Make, arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        make_store().target("a", **arguments)
    with pytest.raises(InvalidInputError):
        make_store().target("a/../b")


# -- failures -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"), [("reset", {}), ("lose_reply", {}), ("status", {"status": 500, "code": "InternalError"})]
)
@pytest.mark.parametrize("operation", ["CREATE", "PART", "COMPLETE", "HEAD"])
def test_an_upload_that_fails_once_is_completed(
    make_store: Make, proxy: Proxy, kind: Any, options: dict[str, Any], operation: str
) -> None:
    store = make_store(endpoint_url=proxy.url)
    fault = proxy.fail(kind, operation, **options)
    target = store.target("a", part_size=PART)
    target.write(CONTENT)
    target.commit()
    assert fault.hits == 1
    assert store.get("a").data == CONTENT
    assert target.e_tag == store.head("a")["e_tag"]


def _write_all(target: S3Target) -> None:
    for start in range(0, len(CONTENT), 1_000_000):
        target.write(CONTENT[start : start + 1_000_000])
    target.commit()


@pytest.mark.parametrize("operation", ["CREATE", "PART", "COMPLETE"])
def test_an_upload_that_goes_on_failing_is_unavailable_and_removed(
    make_store: Make, client: Any, proxy: Proxy, operation: str
) -> None:
    store = make_store(endpoint_url=proxy.url)
    fault = proxy.fail("status", operation, times=1000)
    target = store.target("a", part_size=PART)
    with pytest.raises(UnavailableError) as caught:
        _write_all(target)
    assert caught.value.retryable
    target.rollback()
    assert fault.hits >= 4
    assert list(store.list()) == []
    if operation != "CREATE":
        assert _uploads(client, store) == []


@pytest.mark.parametrize("code", ["NoSuchUpload", "PreconditionFailed"])
def test_an_own_success_is_told_from_anothers(make_store: Make, proxy: Proxy, monkeypatch: Any, code: str) -> None:
    """After a lost reply, the repetition is told that the upload is gone, or that its own object is in the way."""
    store = make_store(endpoint_url=proxy.url)
    for proven in (True, False):
        proxy.fail("lose_reply", "COMPLETE")
        proxy.fail("status", "COMPLETE", status=404 if code == "NoSuchUpload" else 412, code=code)
        # The look at the object after the lost reply fails, so that the completion is repeated.
        proxy.fail("status", "HEAD", skip=1, times=4)
        target = store.target("a" if proven else "b", part_size=PART)
        target.write(CONTENT)
        if proven:
            target.commit()
            assert target.e_tag == store.head("a")["e_tag"]
            continue
        # Where tags are no MD5 sums, nothing proves that the object is ours.
        monkeypatch.setattr("des_s3.multipart._tag_of_parts", lambda tags: None)
        with pytest.raises((UnavailableError, ObjectExistsError)):
            target.commit()
        target.rollback()


def test_an_abort_that_fails_is_no_error(make_store: Make, proxy: Proxy) -> None:
    store = make_store(endpoint_url=proxy.url)
    proxy.fail("status", "ABORT", times=100)
    target = store.target("a", part_size=PART)
    target.write(CONTENT)
    target.rollback()
    target.rollback()


# -- archives -------------------------------------------------------------------------------


def test_an_archive_is_written_without_a_file(make_store: Make, proxy: Proxy) -> None:
    store = make_store(endpoint_url=proxy.url)
    big = CONTENT[:2_000_000]
    with DesWriter(store.target("20251125/4D_x.des", part_size=PART), compression="none") as writer:
        for number in range(6):
            writer.add_file(f"{number}", big)
        assert list(store.list()) == []
    operations = Counter(request.operation for request in proxy.requests)
    assert (operations["CREATE"], operations["COMPLETE"], operations["PART"]) == (1, 1, 3)
    reader = DesReader(S3RangeSource(store, "20251125/4D_x.des"))
    assert reader.get_file("5") == big


def test_an_archive_that_is_given_up_leaves_nothing(make_store: Make, client: Any) -> None:
    store = make_store()
    writer = DesWriter(store.target("a.des", part_size=PART), compression="none")
    for number in range(4):
        writer.add_file(f"{number}", CONTENT[:2_000_000])
    writer.abort()
    assert list(store.list()) == []
    assert _uploads(client, store) == []
