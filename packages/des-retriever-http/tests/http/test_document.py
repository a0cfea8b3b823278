"""The OpenAPI document says what credentials each route takes, if the service has any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

MakeApp = Callable[..., FastAPI]
KEYS = {"authorized_keys_path": Path("keys.yaml")}
TOKENS = {"jwt_issuer": "https://id.example", "jwt_audience": "des"}
OPEN = {("get", "/locators/{token}")}
REFUSALS = {"401", "403", "429"}


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def schemes(operation: dict[str, Any]) -> list[list[str]]:
    return [list(one) for one in operation["security"]]


def test_without_credentials_no_route_has_them(make_app: MakeApp) -> None:
    app = make_app()
    assert "securitySchemes" not in app.openapi()["components"]
    for method, path, operation in operations(app):
        assert "security" not in operation
        refusals = REFUSALS & set(operation["responses"])
        assert refusals == ({"403"} if (method, path) in OPEN else set())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (KEYS, [["ApiKey"], ["Bearer"]]),
        (TOKENS, [["Bearer"]]),
        (KEYS | TOKENS, [["ApiKey"], ["Bearer"]]),
        ({"vault_addr": "https://vault.example", "vault_token": "x"}, [["ApiKey"], ["Bearer"]]),
    ],
)
def test_with_credentials_all_routes_take_them_but_links(
    make_app: MakeApp, settings: dict[str, Any], expected: list[list[str]]
) -> None:
    app = make_app(**settings)
    for method, path, operation in operations(app):
        if (method, path) in OPEN:
            assert "security" not in operation
            continue
        assert schemes(operation) == expected
        assert set(operation["responses"]) >= REFUSALS
        assert operation["responses"]["401"]["headers"]["WWW-Authenticate"]["required"]
        assert operation["responses"]["429"]["headers"]["Retry-After"]["required"]
        assert ("content" in operation["responses"]["401"]) == (method != "head")
    assert set(app.openapi()["components"]["securitySchemes"]) == {name for one in expected for name in one}
    assert ("X-DES-Signature" in app.openapi()["info"].get("description", "")) == (settings != TOKENS)


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("get", "/files/{uid}", "read"),
        ("head", "/files/{uid}", "read"),
        ("delete", "/files/{uid}", "write"),
        ("get", "/files/{uid}/meta", "read"),
        ("get", "/files/{uid}/history", "read"),
        ("post", "/files/{uid}/locator", "share"),
        ("put", "/files/{uid}/retention-policy", "extend_retention"),
        ("post", "/batch", "read"),
        ("get", "/files", "read"),
        ("head", "/days", "read"),
    ],
)
def test_roles_are_permissions(make_app: MakeApp, method: str, path: str, permission: str) -> None:
    operation = make_app(**TOKENS).openapi()["paths"][path][method]
    assert operation["security"] == [{"Bearer": [permission]}]


def test_where_everybody_reads_only_changes_need_credentials(make_app: MakeApp) -> None:
    paths = make_app(**KEYS, require_authentication=False).openapi()["paths"]
    assert schemes(paths["/files/{uid}"]["get"]) == [[], ["ApiKey"], ["Bearer"]]
    assert schemes(paths["/files/{uid}/locator"]["post"]) == [[], ["ApiKey"], ["Bearer"]]
    assert schemes(paths["/files/{uid}"]["delete"]) == [["ApiKey"], ["Bearer"]]
    paths = make_app(delete_api_key="the-key-that-deletes").openapi()["paths"]
    assert schemes(paths["/files/{uid}"]["delete"]) == [["ApiKey"]]
    assert [] in schemes(paths["/files/{uid}"]["get"])
