"""Requests that a key has signed: of all of the request, once, and for a while."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from des_format.errors import ConfigurationError
from des_format.store import DesStore
from des_retriever_http.client import signing
from des_retriever_http.client.signing import SignedRequests

from ..times import MORNING
from .keys import public_key_item

AT = {"created_at": "2025-11-25T08:00:00Z"}
WHY = {**AT, "reason": "GDPR", "deleted_by": "dpo@example.org"}
KEY = Ed25519PrivateKey.generate()
KEYS: dict[str, Any] = {
    "ed25519": KEY,
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
}
Start = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    items = [public_key_item(key, ["read", "write"], comment=name) for name, key in KEYS.items()]
    path = tmp_path / "authorized_keys.yaml"
    path.write_text(yaml.safe_dump({"authorized_keys": items}))
    return path


def signed(client: httpx.AsyncClient, method: str, path: str, key: Any = KEY, **options: Any) -> httpx.Request:
    """A request with its signature."""
    request = client.build_request(method, path, **options)
    return next(SignedRequests(key).auth_flow(request))


@contextmanager
def clock(at: datetime) -> Iterator[None]:
    """Let the client believe that it is another time."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return at

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "datetime", Clock)
        yield


@pytest.mark.parametrize("name", KEYS)
async def test_each_kind_of_key_signs(guarded: Start, name: str) -> None:
    client = await guarded()
    auth = SignedRequests(KEYS[name])
    for _ in range(2):
        answer = await client.get("/files/a%2F1", params=AT, auth=auth)
        assert answer.content == b"a/1"
    answer = await client.delete("/files/a%2F2", params=WHY, auth=auth)
    assert answer.status_code == 200
    (commit,) = (await client.get("/files/a%2F2/history", params=AT, auth=auth)).json()["commits"]
    assert name in commit["by"]
    assert "SHA256:" in commit["by"]


async def test_a_signature_is_good_once(guarded: Start) -> None:
    client = await guarded()
    request = signed(client, "GET", "/files/a%2F1", params=AT)
    assert (await client.send(request)).status_code == 200
    answer = await client.send(request)
    assert (answer.status_code, "used before" in answer.json()["detail"]) == (401, True)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"path": "/files/a%2F2", "params": AT},
        {"path": "/files/a/1", "params": AT},
        {"params": {"created_at": "2025-11-26T08:00:00Z"}},
        {"params": {**AT, "download": "1"}},
        {"headers": {"X-DES-Timestamp": datetime.now(UTC).isoformat()}},
        {"headers": {"X-DES-Nonce": "another-nonce"}},
        {"key": Ed25519PrivateKey.generate()},
        {"headers": {"X-DES-Signature": ""}},
        {"headers": {"X-DES-Signature": "A" * 86 + "=="}},
        {"headers": {"X-DES-Signature": "é"}},
        {"headers": {"X-DES-Public-Key": "####"}},
        {"headers": {"X-DES-Public-Key": ""}},
    ],
)
async def test_a_signature_is_of_one_request(guarded: Start, filled: DesStore, change: dict[str, Any]) -> None:
    """B-17: the signature of a read deleted the file, through another replica."""
    client = await guarded()
    right = signed(client, "GET", "/files/a%2F1", key=change.get("key", KEY), params=WHY)
    given = {
        name: right.headers[name] for name in ("X-DES-Public-Key", "X-DES-Signature", "X-DES-Timestamp", "X-DES-Nonce")
    }
    headers = {name: value.encode() for name, value in (given | change.get("headers", {})).items()}
    path = change.get("path", "/files/a%2F1")
    answer = await client.request(change.get("method", "GET"), path, params=change.get("params", WHY), headers=headers)
    assert answer.status_code == 401
    assert answer.json()["detail"].startswith("Invalid signature")
    assert filled.get("a/1", MORNING) == b"a/1"
    # Who knows a public key and no private one uses up nobody's nonces: the owner is still let in.
    assert (await client.send(right)).status_code == (401 if "key" in change else 200)


async def test_a_signed_body_is_read_once_and_checked(guarded: Start) -> None:
    client = await guarded()
    request = signed(client, "PUT", "/files/a%2F1/retention-policy", json={"due_date": "2999-01-01T00:00:00Z"})
    other = client.build_request("PUT", request.url, headers=dict(request.headers), content=b" " * len(request.content))
    assert (await client.send(other)).status_code == 401
    assert (await client.send(request)).status_code == 403  # It is who it says, and may not.


@pytest.mark.parametrize(("seconds", "status"), [(-290, 200), (290, 200), (-310, 401), (310, 401)])
async def test_a_signature_is_good_for_five_minutes(guarded: Start, seconds: float, status: int) -> None:
    client = await guarded()
    with clock(datetime.now(UTC) + timedelta(seconds=seconds)):
        request = signed(client, "GET", "/files/a%2F1", params=AT)
    assert (await client.send(request)).status_code == status


@pytest.mark.parametrize("time", ["", "yesterday", "2025-11-25T08:00:00", "0001-01-01T00:00:00+14:00", "9" * 5000])
async def test_a_time_that_is_none_is_refused(guarded: Start, time: str) -> None:
    client = await guarded()
    request = signed(client, "GET", "/files/a%2F1", params=AT)
    request.headers["X-DES-Timestamp"] = time
    assert (await client.send(request)).status_code == 401


@pytest.mark.parametrize("missing", ["X-DES-Public-Key", "X-DES-Signature", "X-DES-Timestamp", "X-DES-Nonce"])
async def test_half_a_signature_is_none(guarded: Start, missing: str) -> None:
    client = await guarded(require_authentication=False)
    request = signed(client, "GET", "/files/a%2F1", params=AT)
    del request.headers[missing]
    answer = await client.send(request)
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (401, "Missing authentication headers")


async def test_a_key_that_is_too_weak_stops_the_start(guarded: Start, key_file: Path) -> None:
    item = public_key_item(rsa.generate_private_key(65537, 1024), ["read"])
    key_file.write_text(yaml.safe_dump({"authorized_keys": [item]}))
    with pytest.raises(ConfigurationError, match=r"authorized_keys\.0: only Ed25519, ECDSA, and RSA of 2048"):
        await guarded()


@pytest.mark.parametrize("format", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8])
def test_private_keys_are_read_as_the_usual_tools_write_them(tmp_path: Path, format: PrivateFormat) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY.private_bytes(Encoding.PEM, format, NoEncryption()))
    SignedRequests.from_file(path)
    path.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")))
    SignedRequests.from_file(path, b"password")
    for password in (None, b"wrong"):
        with pytest.raises(ConfigurationError, match="private key"):
            SignedRequests.from_file(path, password)
    path.write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(ConfigurationError, match="private key"):
        SignedRequests.from_file(path)
