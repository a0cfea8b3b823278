"""CRC32C of uploads: a damaged one is refused where it is verified, and sent again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator

import pytest
from des_format.errors import ConfigurationError, ObjectNotFoundError, UnavailableError
from des_s3 import S3ObjectStore
from des_s3.checksums import UploadChecksums, crc32c, is_sent
from des_s3.multipart import MIN_PART_BYTES

from .proxy import Checksums, Proxy, Request

PART = MIN_PART_BYTES
CONTENT = os.urandom(2 * PART + 1)
Make = Callable[..., S3ObjectStore]


@pytest.fixture
def verifying(proxy: Proxy) -> Iterator[Proxy]:
    """A service that verifies CRC32C as AWS does."""
    proxy.checksums = Checksums()
    yield proxy
    proxy.checksums = None


def damage(operation: str, *, times: int) -> Callable[[Request, bytes], bytes]:
    """Flip a bit of the bodies of the next requests of an operation."""
    left = [times]

    def flip(request: Request, body: bytes) -> bytes:
        if request.operation != operation or not body or not left[0]:
            return body
        left[0] -= 1
        return body[:-1] + bytes([body[-1] ^ 1])

    return flip


def test_the_checksum_is_that_of_the_standard() -> None:
    # RFC 3720, B.4.
    assert crc32c(bytes(32)) == "ipE2qg=="
    assert crc32c(b"123456789") == "4waSgw=="


@pytest.mark.parametrize("setting", ["crc32c", "none"])
def test_a_damaged_object_is_sent_again(make_store: Make, verifying: Proxy, setting: UploadChecksums) -> None:
    store = make_store(endpoint_url=verifying.url, upload_checksums=setting)
    verifying.damage = damage("PUT", times=1)
    store.put("a", CONTENT[:1000])
    is_whole = store.get("a").data == CONTENT[:1000]
    assert is_whole is (setting == "crc32c"), "without a checksum moto keeps what it gets"


def test_a_damaged_object_of_an_event_loop_is_sent_again(make_store: Make, verifying: Proxy) -> None:
    async def put() -> None:
        async with make_store(endpoint_url=verifying.url, upload_checksums="crc32c") as store:
            await store.put_async("a", CONTENT[:1000])

    verifying.damage = damage("PUT", times=1)
    asyncio.run(put())
    assert make_store().get("a").data == CONTENT[:1000]


@pytest.mark.parametrize("setting", ["crc32c", "none"])
def test_a_damaged_part_is_sent_again(make_store: Make, verifying: Proxy, setting: UploadChecksums) -> None:
    store = make_store(endpoint_url=verifying.url, upload_checksums=setting)
    verifying.damage = damage("PART", times=1)
    target = store.target("a", part_size=PART)
    target.write(CONTENT)
    target.commit()
    is_whole = store.get("a").data == CONTENT
    assert is_whole is (setting == "crc32c"), "without a checksum moto keeps what it gets"
    assert verifying.checksums is not None
    assert verifying.checksums.verified == ({"PART": 4} if is_whole else {})


def test_a_conditional_write_that_arrives_damaged_has_no_effect(make_store: Make, verifying: Proxy) -> None:
    store = make_store(endpoint_url=verifying.url, upload_checksums="crc32c")
    verifying.damage = damage("PUT", times=1)
    with pytest.raises(UnavailableError):
        store.put("a", b"content", mode="create")
    with pytest.raises(ObjectNotFoundError):
        store.head("a")


@pytest.mark.parametrize("setting", ["none", "auto"])
def test_foreign_services_see_no_checksum_unless_they_are_said_to_want_it(
    make_store: Make, proxy: Proxy, setting: UploadChecksums
) -> None:
    store = make_store(endpoint_url=proxy.url, upload_checksums=setting)
    first = len(proxy.requests)
    store.put("a", b"1")
    target = store.target("b", part_size=PART)
    target.write(CONTENT)
    target.commit()
    sent = [name for request in proxy.requests[first:] for name in request.headers if "checksum" in name]
    assert sent == []


@pytest.mark.parametrize(
    ("endpoint_url", "is_amazon"),
    [
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com", True),
        ("https://s3.dualstack.us-west-2.api.aws", True),
        ("https://storage.googleapis.com", False),
        ("https://account.r2.cloudflarestorage.com", False),
        ("https://s3.amazonaws.com.example.org", False),
        ("https://notamazonaws.com", False),
        ("http://127.0.0.1:9000", False),
    ],
)
def test_of_itself_it_is_sent_to_amazon_alone(endpoint_url: str, is_amazon: bool) -> None:
    assert is_sent("auto", endpoint_url) is is_amazon
    assert is_sent("crc32c", endpoint_url)
    assert not is_sent("none", endpoint_url)


def test_another_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="upload_checksums is 'md5', expected 'auto', 'crc32c' or 'none'"):
        S3ObjectStore("bucket", upload_checksums="md5")  # type: ignore[arg-type]
