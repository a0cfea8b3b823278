"""The command `des-auth`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from des_format.store import DesStore
from des_retriever_http.auth import main

from .keys import public_key_item

AT = {"created_at": "2025-11-25T08:00:00Z"}
Start = Callable[..., Awaitable[httpx.AsyncClient]]


async def test_a_new_key_is_let_in_when_its_item_is_in_the_document(
    guarded: Start, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["new-key", "scanner", "--prefix", "a/", "--per-hour", "9", "--expires-at", "2999-01-01T00:00:00Z"]) == 0
    )
    printed = yaml.safe_load(capsys.readouterr().out)
    key_file.write_text(yaml.safe_dump({"api_keys": printed["api_keys"]}))
    client = await guarded()
    headers = {"X-API-Key": printed["key"]}
    assert (await client.get("/files/a%2F1", params=AT, headers=headers)).status_code == 200
    assert (await client.get("/files/b%2F1", params=AT, headers=headers)).status_code == 403
    assert printed["key"] not in key_file.read_text()


def test_two_new_keys_are_different(capsys: pytest.CaptureFixture[str]) -> None:
    made = []
    for _ in range(2):
        assert main(["new-key", "x", "--permission", "read", "--permission", "write", "--json"]) == 0
        made.append(json.loads(capsys.readouterr().out))
    first, second = made
    assert len({first["key"], second["key"], first["item"]["hash"], second["item"]["hash"]}) == 4
    assert first["item"]["permissions"] == ["read", "write"]


@pytest.mark.parametrize("words", [["with space"], ["x", "--expires-at", "soon"], ["x", "--per-hour", "0"]])
def test_a_key_that_no_document_could_have_is_not_made(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-key", *words]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "des-auth new-key" in printed.err


def test_a_document_is_checked(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(key_file), "--json"]) == 0
    reader, _deleter, narrow = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (reader["id"], reader["permissions"], reader["has_expired"]) == ("reader", ["read"], False)
    assert (narrow["allowed_prefixes"], narrow["excluded_prefixes"]) == (["a/"], ["a/2"])
    assert main(["check", str(key_file)]) == 0
    key_file.write_text("api_keys: [{}]")
    assert main(["check", str(key_file)]) == 1
    assert main(["check", str(key_file.with_name("none"))]) == 1
    assert "none" in capsys.readouterr().err


def test_a_signed_read_is_tried(
    make_app: Callable[..., Any],
    live_server: Callable[..., Any],
    filled: DesStore,
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    key = Ed25519PrivateKey.generate()
    private, document = tmp_path / "id_ed25519", tmp_path / "keys.json"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    document.write_text(json.dumps({"authorized_keys": [public_key_item(key, ["read"], allowed_prefixes=["a/"])]}))
    with live_server(make_app(authorized_keys_path=document)) as url:

        def tried(uid: str, *more: str) -> int:
            words = ["--private-key", str(private), "--url", f"{url}/files/{uid}", "--created-at", AT["created_at"]]
            return main(["test", *words, *more])

        assert tried("a%2F1") == 0
        assert capsysbinary.readouterr() == (b"a/1", b"Status: 200\n")
        assert tried("b%2F1") == 1
        assert capsysbinary.readouterr().err == b"Status: 403\n"
    assert tried("a%2F1") == 1
    assert b"des-auth: " in capsysbinary.readouterr().err
