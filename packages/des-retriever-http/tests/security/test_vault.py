"""Credentials in the KV engine of Vault or OpenBao; here is as much of one as the service asks."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from des_format.errors import ConfigurationError, UnavailableError
from des_retriever_http.security import sources

from .keys import api_key_item, until

AT = {"created_at": "2025-11-25T08:00:00Z"}
Start = Callable[..., Awaitable[httpx.AsyncClient]]


class Vault:
    """A server with one secret."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] = {"api_keys": [api_key_item("reader", "reader-key", ["read"])]}
        self.is_sealed = False
        self.page: bytes | None = None
        self.token = "the-token"
        self.logins = self.reads = 0
        vault = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                vault.reads += 1
                is_known = self.headers["X-Vault-Token"] == vault.token
                if vault.page is not None:
                    self.send_page(vault.page)
                elif vault.is_sealed:
                    self.reply(503, {"errors": ["Vault is sealed"]})
                elif not is_known:
                    self.reply(403, {"errors": ["permission denied"]})
                elif self.path == "/v1/team/data/des/keys":
                    self.reply(200, {"data": {"data": vault.secret, "metadata": {"version": 1}}})
                else:
                    self.reply(404, {"errors": []})

            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/auth/kubernetes/login"
                vault.logins += 1
                if given == {"role": "retriever", "jwt": "of-the-pod"}:
                    self.reply(200, {"auth": {"client_token": vault.token}})
                else:
                    self.reply(403, {"errors": ["permission denied"]})

            def reply(self, status: int, answer: Any) -> None:
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def send_page(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def vault() -> Iterator[Vault]:
    one = Vault()
    thread = threading.Thread(target=one.server.serve_forever)
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


@pytest.fixture
def start(guarded: Start, vault: Vault) -> Start:
    async def start(**settings: Any) -> httpx.AsyncClient:
        place = {"vault_addr": vault.address, "vault_mount": "team", "vault_path": "des/keys"}
        return await guarded(**place | {"credentials_reload_seconds": 0.02} | settings)

    return start


async def status(client: httpx.AsyncClient, key: str) -> int:
    return (await client.get("/files/a%2F1", params=AT, headers={"X-API-Key": key})).status_code


async def test_keys_come_from_vault_and_change_there(start: Start, vault: Vault) -> None:
    client = await start(vault_token="the-token")
    assert await status(client, "reader-key") == 200
    vault.is_sealed = True
    vault.secret = {"api_keys": [api_key_item("other", "other-key", ["read"])]}
    assert await status(client, "reader-key") == 200
    vault.is_sealed = False

    async def is_changed() -> bool:
        return await status(client, "other-key") == 200

    await until(is_changed)
    assert await status(client, "reader-key") == 401


@pytest.mark.parametrize("page", [b"<h1>Maintenance</h1>", b"{}", b'{"data": null}', b"[]"])
async def test_a_page_that_comes_in_place_of_the_secret_changes_nothing(
    start: Start, vault: Vault, page: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = await start(vault_token="the-token")
    vault.page = page

    async def is_told() -> bool:
        return "credentials_not_reloaded" in caplog.text

    async def is_refused() -> bool:
        return await status(client, "reader-key") == 401

    await until(is_told)
    assert await status(client, "reader-key") == 200
    assert next(vars(one)["error"] for one in caplog.records if hasattr(one, "error")).endswith("KV engine, version 2")
    vault.secret = {"api_keys": [api_key_item("other", "other-key", ["read"])]}
    vault.page = None
    await until(is_refused)


async def test_a_pod_logs_in_as_itself_and_again_when_its_token_has_ended(
    start: Start, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = tmp_path / "token"
    account.write_text("of-the-pod\n")
    monkeypatch.setattr(sources, "_SERVICE_ACCOUNT", account)
    client = await start(vault_role="retriever")
    assert await status(client, "reader-key") == 200

    async def has_read_often() -> bool:
        return vault.reads > 5

    await until(has_read_often)
    assert vault.logins == 1
    vault.token = "the-next-token"
    vault.secret = {"api_keys": [api_key_item("other", "other-key", ["read"])]}

    async def is_changed() -> bool:
        return await status(client, "other-key") == 200

    await until(is_changed)
    assert vault.logins == 2
    with pytest.raises(UnavailableError, match="des/keys cannot be read"):
        await start(vault_role="other")


@pytest.mark.parametrize("changes", [{"vault_token": "wrong"}, {"vault_path": "none"}, {"vault_mount": "none"}])
async def test_a_secret_that_cannot_be_read_stops_the_start_and_is_not_shown(
    start: Start, changes: dict[str, Any]
) -> None:
    with pytest.raises(UnavailableError, match="cannot be read") as raised:
        await start(**{"vault_token": "the-token"} | changes)
    assert "the-token" not in str(raised.value)


@pytest.mark.parametrize("changes", [{}, {"vault_token": "x", "vault_role": "y"}])
async def test_one_way_to_log_in_is_needed(start: Start, changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="one of DES_VAULT_TOKEN and DES_VAULT_ROLE"):
        await start(**changes)
