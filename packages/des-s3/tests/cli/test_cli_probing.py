"""`des s3 probe`, found as a command of another distribution."""

from __future__ import annotations

import json
from typing import Any

import pytest
from des_format.cli.app import app
from typer.testing import CliRunner

from ..proxy import Proxy


def des(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["s3", "probe", *arguments], catch_exceptions=False)


def test_where_commits_are_safe(bucket: str, prefix: str, endpoint_url: str) -> None:
    result = des(f"s3://{bucket}/{prefix}?endpoint_url={endpoint_url}")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[-1] == "commits are safe"
    assert lines[0].split("  ")[0] == "PUT If-None-Match: * (create)"
    assert "  yes      nothing that exists is overwritten" in lines[0]


def test_where_they_are_not(bucket: str, prefix: str, proxy: Proxy) -> None:
    def ignore(request: Any) -> None:
        request.headers.pop("if-none-match", None)

    proxy.rewrite = ignore
    result = des(f"s3://{bucket}/{prefix}?endpoint_url={proxy.url}")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "commits are refused: conditional writes do not work here"
    assert "  ignored  " in result.stdout.splitlines()[0]


def test_as_json(bucket: str, prefix: str, endpoint_url: str) -> None:
    url = f"s3://{bucket}/{prefix}?endpoint_url={endpoint_url}"
    found = json.loads(des("--json", url).stdout)
    assert (found["url"], found["commits_are_safe"], found["if_match_quotes"], found["left"]) == (url, True, True, [])
    assert {"name", "title", "verdict", "detail", "meaning"} == found["findings"][0].keys()
    assert {finding["verdict"] for finding in found["findings"]} <= {"yes", "no", "ignored", "unknown"}


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("file:///tmp", 2, "this is no URL of a bucket"),
        ("s3://bucket?endpoint_url=http://127.0.0.1:1", 6, "Could not connect"),
    ],
)
def test_what_cannot_be_probed_is_an_error(url: str, code: int, message: str) -> None:
    result = des(url)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stdout == ""
