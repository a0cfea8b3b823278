"""What an S3ObjectStore does beyond the contract of its port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from des_format.errors import (
    AccessDeniedError,
    ConfigurationError,
    InvalidInputError,
    ObjectChangedError,
    ObjectNotFoundError,
    UnavailableError,
    UnsupportedOperationError,
)
from des_format.ports.opening import open_object_store
from des_s3 import S3Metrics, S3ObjectStore, open_s3
from moto.s3.models import s3_backends
from prometheus_client import CollectorRegistry

from .proxy import Proxy, Request

Make = Callable[..., S3ObjectStore]


@pytest.fixture(params=["obstore", "boto"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- prefixes and listings ------------------------------------------------------------------


def test_keys_are_below_the_prefix(bucket: str, endpoint_url: str, session: boto3.Session, client: Any) -> None:
    for prefix in ("deep/er", "/deep/er/"):
        with S3ObjectStore(bucket, prefix, endpoint_url=endpoint_url, session=session) as store:
            store.put("20251125/4D.manifest", b"1")
            assert client.get_object(Bucket=bucket, Key="deep/er/20251125/4D.manifest")["Body"].read() == b"1"
            assert [meta["path"] for page in store.list() for meta in page] == ["20251125/4D.manifest"]


def test_a_listing_hides_what_is_no_key(make_store: Make, prefix: str, bucket: str, client: Any) -> None:
    for name in ("folder/", "a//b", ".hidden", "a/.b", "kept"):
        client.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=b"")
    assert [meta["path"] for page in make_store().list() for meta in page] == ["kept"]


def test_a_listing_of_many_pages_is_complete_and_in_order(make_store: Make, client: Any) -> None:
    store = make_store()
    names = sorted(f"n{number:04d}" for number in range(1002))
    store.put(names[0], b"")
    backend = s3_backends["123456789012"]["aws"]
    for name in names[1:]:
        # Over HTTP this would take ten seconds.
        backend.put_object(store.bucket, f"{store.prefix}{name}", b"")
    pages = list(store.list())
    assert [len(page) for page in pages] == [1000, 2]
    assert [meta["path"] for page in pages for meta in page] == names
    store.delete(names)
    assert list(store.list()) == []


@pytest.mark.parametrize("prefix", ["a//b", "a/../b", "."])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError):
        S3ObjectStore("bucket", prefix)


def test_an_object_is_copied(make_store: Make) -> None:
    store = make_store()
    made = store.put("größe a", b"content")
    assert store.copy("größe a", "b")["e_tag"] == made["e_tag"]
    asyncio.run(_copy(store))
    assert store.get("c").data == b"content"
    with pytest.raises(ObjectNotFoundError):
        store.copy("none", "d")


async def _copy(store: S3ObjectStore) -> None:
    async with store:
        await store.copy_async("b", "c")


def test_a_service_without_batches_deletes_one_by_one(make_store: Make, proxy: Proxy) -> None:
    store = make_store(endpoint_url=proxy.url)
    for name in ("a", "b"):
        store.put(name, b"")
    proxy.fail("status", "POST", status=501, code="NotImplemented")
    store.delete(["a", "b", "missing"])
    assert list(store.list()) == []


# -- odd servers ----------------------------------------------------------------------------


def _refuse_quotes(request: Request) -> int | None:
    """Ceph: the right version in quotes is refused, the bare one is taken."""
    tag = request.headers.get("if-match")
    if request.method != "PUT" or tag is None:
        return None
    if tag.startswith('"'):
        return 412
    request.headers["if-match"] = f'"{tag}"'
    return None


def test_a_server_that_refuses_quotes_is_found_out_once(make_store: Make, proxy: Proxy) -> None:
    proxy.rewrite = _refuse_quotes
    store = make_store(endpoint_url=proxy.url)
    first = store.put("a", b"1")
    assert store.if_match_quotes is None
    second = store.put("a", b"2", mode={"e_tag": first["e_tag"]})
    assert store.if_match_quotes is False
    with proxy.counting() as counts, pytest.raises(ObjectChangedError):
        store.put("a", b"3", mode={"e_tag": first["e_tag"]})
    assert counts == {"PUT": 1}
    third = store.put("a", b"3", mode={"e_tag": second["e_tag"]})
    assert third["e_tag"] == store.head("a")["e_tag"]
    assert [meta["path"] for page in store.list() for meta in page] == ["a"]


def test_a_usual_server_is_not_asked_about_quotes(make_store: Make, proxy: Proxy) -> None:
    store = make_store(endpoint_url=proxy.url)
    first = store.put("a", b"1")
    with proxy.counting() as counts:
        store.put("a", b"2", mode={"e_tag": first["e_tag"]})
        with pytest.raises(ObjectChangedError):
            store.put("a", b"3", mode={"e_tag": first["e_tag"]})
    assert store.if_match_quotes is True
    assert counts == {"PUT": 2}


def test_a_first_refusal_is_a_refusal_also_where_quotes_are_asked_about(make_store: Make, proxy: Proxy) -> None:
    store = make_store(endpoint_url=proxy.url)
    first = store.put("a", b"1")
    store.put("a", b"2")
    with pytest.raises(ObjectChangedError):
        store.put("a", b"3", mode={"e_tag": first["e_tag"]})
    assert store.if_match_quotes is True
    assert [meta["path"] for page in store.list() for meta in page] == ["a"]


def test_who_may_not_ask_about_quotes_believes_the_standard(make_store: Make, proxy: Proxy) -> None:
    proxy.rewrite = lambda request: 403 if "des-probe" in request.path else None
    store = make_store(endpoint_url=proxy.url)
    first = store.put("a", b"1")
    store.put("a", b"2")
    with pytest.raises(ObjectChangedError):
        store.put("a", b"3", mode={"e_tag": first["e_tag"]})
    assert store.if_match_quotes is None


def test_quotes_can_be_set(make_store: Make, proxy: Proxy) -> None:
    proxy.rewrite = _refuse_quotes
    store = make_store(endpoint_url=proxy.url, if_match_quotes=False)
    tag = store.put("a", b"1")["e_tag"]
    with proxy.counting() as counts:
        store.put("a", b"2", mode={"e_tag": tag})
    assert counts == {"PUT": 1}


def _ignore_ranges(request: Request) -> int | None:
    request.headers.pop("range", None)
    return None


def test_a_server_that_ignores_ranges_is_cut_or_refused(make_store: Make, proxy: Proxy, engine: str) -> None:
    proxy.rewrite = _ignore_ranges
    store = make_store(endpoint_url=proxy.url, engine=engine)
    store.put("small", b"0123456789")
    assert store.get("small", options={"range": (3, 5)}).data == b"34"
    store.put("large", bytes(2 << 20))
    with pytest.raises(UnsupportedOperationError, match="all of its 2097152 bytes"):
        store.get("large", options={"range": (3, 5)})


# -- options --------------------------------------------------------------------------------


def test_every_put_carries_a_checksum_that_servers_verify(make_store: Make, proxy: Proxy) -> None:
    store = make_store(endpoint_url=proxy.url)
    store.put("a", b"content")
    assert proxy.requests[-1].headers["content-md5"] == "mgNkuembtIDdJeHwKEyFVQ=="
    assert not [name for name in proxy.requests[-1].headers if name.startswith("x-amz-checksum")]


def test_encryption_and_who_pays_are_sent_with_every_request_that_knows_them(
    make_store: Make, proxy: Proxy, engine: str
) -> None:
    sse = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    store = make_store(endpoint_url=proxy.url, sse=sse, request_payer=True, engine=engine)
    store.put("a", b"content")
    store.head("a")
    assert store.get("a").data == b"content"
    store.copy("a", "b")
    for request in proxy.requests:
        assert request.headers["x-amz-request-payer"] == "requester"
        assert request.headers["x-amz-server-side-encryption-customer-algorithm"] == "AES256"
    assert list(store.list())
    store = make_store(endpoint_url=proxy.url, sse={"ServerSideEncryption": "AES256"}, engine=engine)
    store.put("c", b"content")
    assert proxy.requests[-1].headers["x-amz-server-side-encryption"] == "AES256"
    assert store.get("c").data == b"content"


def test_the_bucket_can_be_in_the_path_or_in_the_host(make_store: Make, proxy: Proxy, engine: str) -> None:
    make_store().put("a", b"content")
    store = make_store(endpoint_url=proxy.url, addressing_style="path", engine=engine)
    assert store.get("a").data == b"content"
    assert proxy.requests[-1].path.startswith("/tests/")
    store = make_store(endpoint_url="http://localhost:1", addressing_style="virtual", engine=engine)
    with pytest.raises(UnavailableError, match=f"http://tests.localhost:1/{store.prefix}a"):
        store.get("a")


def test_requests_without_a_signature(make_store: Make, proxy: Proxy, engine: str) -> None:
    make_store().put("a", b"content")
    store = make_store(endpoint_url=proxy.url, anonymous=True, engine=engine)
    with pytest.raises((AccessDeniedError, ObjectNotFoundError)):
        store.get("a")
    assert "authorization" not in proxy.requests[-1].headers


def test_a_client_of_ones_own_sends_everything(make_store: Make, client: Any) -> None:
    store = make_store(client=client)
    assert store.engine == "boto"
    store.put("a", b"content", mode="create")
    assert asyncio.run(store.get_async("a", options={"range": (0, 3)})).data == b"con"
    with pytest.raises(ConfigurationError, match="session"):
        make_store(client=client, engine="obstore")


def test_a_forked_process_has_clients_of_its_own(make_store: Make, engine: str) -> None:
    store = make_store(engine=engine)
    store.put("a", b"content")
    assert store.get("a").data == b"content"
    parents = store._clients.sync()
    store._clients._lock.acquire()  # by a thread of the parent, at the moment of the fork
    store._clients._process = 0  # as a child sees it
    assert store.get("a").data == b"content"
    assert store.head("a")["size"] == 7
    assert store._clients.sync() is not parents
    parents.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"engine": "curl"},
        {"addressing_style": "dns"},
        {"sse": {"Key": "x"}},
        {"bucket": ""},
        {"bucket": "a/b"},
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        S3ObjectStore(**{"bucket": "bucket"} | arguments)


# -- credentials ----------------------------------------------------------------------------


class _Rotating:
    """Credentials that a service hands out, and withdraws."""

    def __init__(self) -> None:
        self.current = "first"

    def session(self) -> boto3.Session:
        session = boto3.Session()
        session._session._credentials = RefreshableCredentials.create_from_metadata(
            self.fetch(), refresh_using=self.fetch, method="test"
        )
        return session

    def fetch(self) -> dict[str, str]:
        # Always about to expire, so that they are fetched again for each use.
        return {
            "access_key": self.current,
            "secret_key": "secret",
            "token": f"token-{self.current}",
            "expiry_time": (datetime.now(UTC) + timedelta(minutes=1)).isoformat(),
        }

    def check(self, request: Request) -> int | None:
        authorization = request.headers.get("authorization", "")
        is_current = f"Credential={self.current}/" in authorization
        return None if is_current and request.headers["x-amz-security-token"] == f"token-{self.current}" else 403


@pytest.mark.parametrize("way", ["sync", "async"])
def test_credentials_may_rotate_at_any_time(make_store: Make, proxy: Proxy, engine: str, way: str) -> None:
    rotating = _Rotating()
    proxy.rewrite = rotating.check
    store = make_store(endpoint_url=proxy.url, engine=engine, session=rotating.session())

    async def use() -> None:
        await store.put_async("a", rotating.current.encode())
        assert (await store.get_async("a")).data == rotating.current.encode()

    async def use_twice() -> None:
        async with store:
            await use()
            rotating.current = "second"
            await use()

    if way == "async":
        return asyncio.run(use_twice())
    for rotating.current in ("first", "second", "third"):
        store.put("a", rotating.current.encode())
        assert store.get("a").data == rotating.current.encode()
    return None


def test_refused_and_missing_credentials_are_access_denied(
    make_store: Make, proxy: Proxy, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.rewrite = lambda request: 403
    store = make_store(endpoint_url=proxy.url, engine=engine)
    for call in (store.get, store.head, store.delete):
        with pytest.raises(AccessDeniedError):
            call("a")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    store = make_store(endpoint_url=proxy.url, engine=engine, session=boto3.Session())
    for call in (store.get, store.head):
        with pytest.raises(AccessDeniedError, match="credentials"):
            call("a")


# -- URLs and metrics -----------------------------------------------------------------------


def test_a_bucket_is_opened_by_its_url(endpoint_url: str, bucket: str) -> None:
    url = f"s3://{bucket}/a%20b/c?endpoint_url={endpoint_url}&region=eu-west-1&engine=boto"
    registry = CollectorRegistry()
    store = open_object_store(url, registry=registry)
    assert isinstance(store, S3ObjectStore)
    assert (store.bucket, store.prefix, store.engine) == (bucket, "a b/c/", "boto")
    with store:
        store.put("x", b"content")
        assert store.get("x").data == b"content"
    assert registry.get_sample_value("des_s3_requests_total", {"operation": "get_object", "outcome": "ok"}) == 1
    parameters = f"endpoint_url={endpoint_url}&addressing=path&request_payer=true&if_match_quotes=false"
    with open_s3(f"s3://{bucket}?{parameters}") as store:
        assert store.if_match_quotes is False
        assert store.get("a b/c/x").data == b"content"


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:///key",
        "http://bucket",
        "s3://bucket?acces_key=x",
        "s3://bucket?profile=nobody",
        "s3://bucket#fragment",
        "s3://bucket?request_payer=perhaps",
        "s3://bucket?engine=curl",
    ],
)
def test_a_url_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        open_s3(url)


def test_a_secret_in_a_url_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_s3("s3://key:hunter2@bucket")
    assert "hunter2" not in str(caught.value)


def test_requests_are_counted_by_operation_and_outcome(make_store: Make, engine: str) -> None:
    registry = CollectorRegistry()
    store = make_store(metrics=S3Metrics(registry), engine=engine)
    store.put("a", b"content")
    store.get("a", options={"range": (0, 3)})
    with pytest.raises(ObjectNotFoundError):
        store.get("b")
    with pytest.raises(InvalidInputError):
        store.get("a", options={"range": (3, 0)})

    def value(operation: str, outcome: str) -> float | None:
        labels = {"operation": operation, "outcome": outcome}
        return registry.get_sample_value("des_s3_requests_total", labels)

    assert value("put_object", "ok") == 1
    assert value("get_object", "ok") == 1
    assert value("get_object", "object_not_found") == 1
    assert registry.get_sample_value("des_s3_request_bytes_total", {"operation": "get_object"}) == 3
    assert registry.get_sample_value("des_s3_request_bytes_total", {"operation": "put_object"}) == 7
