"""`Allow` names every method of a path, whichever route has it."""

from __future__ import annotations

import httpx
import pytest


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/files/a%2Fb", {"GET", "HEAD", "DELETE"}),
        ("POST", "/files/a", {"GET", "HEAD", "DELETE"}),
        ("DELETE", "/files/a/meta", {"GET"}),
        ("GET", "/files/a/locator", {"POST"}),
        ("DELETE", "/days", {"GET", "HEAD"}),
    ],
)
async def test_what_a_path_cannot_is_405_and_says_what_it_can(
    client: httpx.AsyncClient, method: str, path: str, allowed: set[str]
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed
