"""The retriever over every storage: a folder, S3, shards spread over buckets, and what a published system left."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from des_format.objects import LocalObjectStore
from des_format.ports.objects import ObjectStore
from des_format.ports.opening import open_object_store
from des_format.store import DesStore, NewEntry
from des_retriever_http import Settings, create_app
from servers import S3Server

MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)
AT = {"created_at": "2025-11-25T08:00:00Z"}
KEY = {"X-API-Key": "the-published-key"}
WHY = {**AT, "reason": "GDPR", "deleted_by": "dpo@example.org"}
PAYLOADS = {f"file-{number}": bytes([number]) * 5000 for number in range(20)}

Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a service with the variables of an environment; gives a client of it."""
    async with AsyncExitStack() as stack:

        async def serve(environment: Mapping[str, str]) -> httpx.AsyncClient:
            app = create_app(Settings.read({"DES_DELETE_API_KEY": KEY["X-API-Key"], **environment}))
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://des"))

        yield serve


@pytest.fixture
def aws(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3 server whose keys are in the environment, where the service finds them."""
    for name, text in s3_server.environment().items():
        monkeypatch.setenv(name, text)
    return s3_server


def s3_environment(aws: S3Server, bucket: str, _folder: Path) -> dict[str, str]:
    return {
        "DES_BACKEND": "s3",
        "DES_S3_BUCKET": bucket,
        "DES_S3_PREFIX": "an/archive",
        "DES_S3_ENDPOINT_URL": aws.endpoint_url,
        "DES_S3_REGION": aws.region,
    }


def zones_environment(aws: S3Server, bucket: str, folder: Path) -> dict[str, str]:
    def zone(name: str, start: int, end: int) -> dict[str, Any]:
        place = {"bucket": bucket, "prefix": name, "endpoint_url": aws.endpoint_url, "region_name": aws.region}
        return {"name": name, "range": {"start": start, "end": end}, "s3": place}

    path = folder / "zones.json"
    path.write_text(json.dumps({"n_bits": 4, "zones": [zone("low", 0, 7), zone("high", 8, 15)]}))
    return {"DES_BACKEND": "multi_s3", "DES_ZONES_CONFIG": str(path)}


def objects_of(environment: Mapping[str, str]) -> ObjectStore:
    """The object store that a service with these variables opens."""
    if environment["DES_BACKEND"] == "multi_s3":
        return open_object_store(Path(environment["DES_ZONES_CONFIG"]).as_uri().replace("file:", "zones:", 1))
    endpoint, region = environment["DES_S3_ENDPOINT_URL"], environment["DES_S3_REGION"]
    place = f"{environment['DES_S3_BUCKET']}/{environment['DES_S3_PREFIX']}"
    return open_object_store(f"s3://{place}?endpoint_url={quote(endpoint, safe='')}&region={region}")


async def lives_its_life(serve: Serve, environment: Mapping[str, str]) -> None:
    """Read, list and delete through one service, and see it through another one."""
    first, second = await serve(environment), await serve(environment)
    for uid, payload in PAYLOADS.items():
        assert (await first.get(f"/files/{uid}", params=AT)).content == payload
    part = await first.get("/files/file-7", params=AT, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, bytes([7]) * 100)
    etag = (await second.head("/files/file-7", params=AT)).headers["etag"]
    assert (await second.get("/files/file-7", params=AT, headers={"If-None-Match": etag})).status_code == 304
    assert (await first.get("/files/absent", params=AT)).status_code == 404
    listed = (await first.get("/files", params={"day": "20251125"})).json()["entries"]
    assert sorted(entry["uid"] for entry in listed) == sorted(PAYLOADS)

    assert (await first.delete("/files/file-7", params=WHY, headers=KEY)).status_code == 200
    assert (await first.get("/files/file-7", params=AT)).status_code == 410
    fresh = {"Cache-Control": "no-cache"}
    assert (await second.get("/files/file-7", params=AT, headers=fresh)).status_code == 410
    assert (await second.delete("/files/file-7", params=WHY, headers=KEY)).status_code == 410
    assert (await second.get("/files/file-8", params=AT)).content == PAYLOADS["file-8"]


@pytest.mark.parametrize("made", [s3_environment, zones_environment])
async def test_the_service_over_s3(
    serve: Serve, aws: S3Server, bucket: str, tmp_path: Path, made: Callable[[S3Server, str, Path], dict[str, str]]
) -> None:
    """B-19: over zones the published one deleted nothing, and served what was deleted."""
    environment = made(aws, bucket, tmp_path)
    objects: Any = objects_of(environment)
    store = DesStore.init(objects, n_bits=4)
    store.put_many([NewEntry(uid, MORNING, payload) for uid, payload in PAYLOADS.items()])
    store.close()
    objects.close()
    await lives_its_life(serve, environment)


@pytest.mark.valkey
async def test_the_service_over_a_folder_with_a_cache_in_tiers(
    serve: Serve, tmp_path: Path, valkey_server: str
) -> None:
    store = DesStore.init(LocalObjectStore(tmp_path / "store", create=True))
    store.put_many([NewEntry(uid, MORNING, payload) for uid, payload in PAYLOADS.items()])
    store.close()
    cache = f"memory://,{valkey_server}"
    await lives_its_life(
        serve, {"DES_BACKEND": "local", "DES_BASE_DIR": str(tmp_path / "store"), "DES_CACHE_URL": cache}
    )


# -- published layout ---------------------------------------------------------------------------


def des_core(entries: Mapping[str, bytes]) -> bytes:
    """An archive of des_core, version 2."""
    data, index = b"", struct.pack("<I", len(entries))
    for name, payload in entries.items():
        size = len(payload)
        index += struct.pack("<H", len(name.encode())) + name.encode()
        index += struct.pack("<BQQBQQI", 0, 8 + len(data), size, 0, size, size, 0)
        data += payload
    return b"DES2\x02\0\0\0" + data + index + b"DESI" + struct.pack("<Q", len(index))


async def test_what_a_published_system_left_is_served_as_its_own_retriever_did(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "20251125_07_0000.des").write_bytes(des_core({"7": b"seven", "263": b""}))
    (tmp_path / "20251125_07_0001.des").write_bytes(des_core({"519": b"of a second archive", "775": b"gone"}))
    tombstone = {
        "uid": "775",
        "created_at": "2025-11-25T10:00:00Z",
        "deleted_at": "2025-11-26T10:00:00Z",
        "deleted_by": "me",
        "reason": "GDPR",
        "ticket_id": None,
    }
    client = await serve({"DES_BACKEND": "local", "DES_BASE_DIR": str(tmp_path), "DES_N_BITS": "8"})

    answer = await client.get("/files/7", params=AT)
    assert (answer.status_code, answer.content) == (200, b"seven")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (await client.get("/files/263", params=AT)).content == b""  # B-18: it was the whole archive
    missing = await client.get("/files/1031", params=AT)
    assert (missing.status_code, missing.json()["detail"]) == (404, "File not found")
    for path, params, status in [
        ("/files/7", {"created_at": "2025-11-25 08:00"}, 400),
        ("/files/7", {}, 422),
        ("/files/²", AT, 404),  # B-28: it was 500
        ("/files/a%2Fb", AT, 404),
    ]:
        assert (await client.get(path, params=params)).status_code == status
    assert (await client.get("/files/7/meta", params=AT)).json()["size"] == 5
    listed = (await client.get("/files", params={"day": "20251125"})).json()["entries"]
    assert sorted(entry["uid"] for entry in listed) == ["263", "519", "7", "775"]
    refused = await client.delete("/files/7", params=WHY, headers=KEY)
    assert (refused.status_code, refused.json()["detail"]) == (503, "Deletion not supported for this backend")

    for name, tombstones in {
        "20251125_07_0000": {},
        "20251125_07_0001": {"775:2025-11-25T10:00:00Z": tombstone},
    }.items():
        sidecar = {
            "version": 1,
            "shard_file": f"{name}.des",
            "shard_size": (tmp_path / f"{name}.des").stat().st_size,
            "created_at": "2025-11-26T09:00:00Z",
            "last_updated": "2025-11-26T10:00:00Z",
            "index": {},
            "tombstones": tombstones,
            "stats": {"entries": 2, "deleted_files": len(tombstones), "deletion_ratio": 0.5},
        }
        (tmp_path / f"{name}.meta").write_text(json.dumps(sidecar, indent=2))
    fresh = {"Cache-Control": "no-cache"}
    gone = await client.get("/files/775", params=AT, headers=fresh)
    assert (gone.status_code, gone.json()["detail"]) == (410, "File deleted")
    # B-02: a sidecar made every entry of the shard's later archives fail.
    assert (await client.get("/files/519", params=AT, headers=fresh)).content == b"of a second archive"


async def test_what_is_kept_in_a_bucket_with_object_lock_is_locked(
    serve: Serve, aws: S3Server, bucket: str, tmp_path: Path
) -> None:
    """B-33: the copies of the published one were where no retriever looked."""
    if aws.name == "moto":
        pytest.skip("moto answers 500 to who asks until when an object is locked")
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    kept = f"kept-{uuid4().hex}"
    client = aws.client()
    client.create_bucket(Bucket=kept, ObjectLockEnabledForBucket=True)
    document = tmp_path / "keys.json"
    digest = sha256(b"keeper").hexdigest()
    item = {"id": "keeper", "hash": f"sha256:{digest}", "permissions": ["read", "extend_retention"]}
    document.write_text(json.dumps({"api_keys": [item]}))
    environment = {
        **s3_environment(aws, bucket, tmp_path),
        "DES_EXT_RETENTION_BUCKET": kept,
        "DES_AUTHORIZED_KEYS_PATH": str(document),
    }
    objects: Any = objects_of(environment)
    with DesStore.init(objects, n_bits=4) as store:
        store.put("a", MORNING, b"content")
    first, second = await serve(environment), await serve(environment)
    body, by = {**AT, "due_date": until.isoformat()}, {"X-API-Key": "keeper"}
    done = (await first.put("/files/a/retention-policy", json=body, headers=by)).json()
    assert (done["action"], done["locked"]) == ("moved", True)
    lock = client.get_object_retention(Bucket=kept, Key=done["key"])["Retention"]
    assert (lock["Mode"], lock["RetainUntilDate"]) == ("GOVERNANCE", until)
    again = (await second.put("/files/a/retention-policy", json=body, headers=by)).json()
    assert again == {**done, "action": "updated"}
    overflowing = {**body, "due_date": "2999-01-01T00:00:00Z"}
    beyond = (await second.put("/files/a/retention-policy", json=overflowing, headers=by)).json()
    assert not beyond["locked"], "Ceph takes this year for another one"
    for page in list(objects.list()):
        objects.delete([meta["path"] for meta in page if "store.json" not in meta["path"]])
    objects.close()
    third = await serve(environment)
    assert (await third.get("/files/a", params=AT, headers=by)).content == b"content"
    client.close()
