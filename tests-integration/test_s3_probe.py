"""What `des s3 probe` says about real servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from des_format.errors import ObjectChangedError, UnsupportedOperationError
from des_format.store import DesStore
from des_s3 import S3ObjectStore
from servers import S3Server

MakeObjects = Callable[..., S3ObjectStore]


def probe(server: S3Server, bucket: str, *options: str) -> subprocess.CompletedProcess[str]:
    url = f"s3://{bucket}/probed?endpoint_url={server.endpoint_url}"
    command = [sys.executable, "-m", "des_format.cli", "s3", "probe", url, *options]
    return subprocess.run(command, env=server.environment(), capture_output=True, text=True)


def test_commits_are_safe_and_every_peculiarity_is_told(s3_server: S3Server, bucket: str) -> None:
    done = probe(s3_server, bucket, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["commits_are_safe"]
    assert report["left"] == []
    verdicts = {found["name"]: found["verdict"] for found in report["findings"]}
    expected = dict.fromkeys(verdicts, "yes") | {
        "crc32c": "ignored",
        "crc32c_parts": "ignored",
        "versioning": "no",
        "object_lock": "no",
    }
    if s3_server.name == "ceph":
        expected |= {"replace_quoted": "no", "multipart_create": "ignored"}
        assert s3_server.version.startswith("16."), "a later one may know more"
    else:
        expected |= {"content_md5": "ignored"}
    assert verdicts == expected
    assert report["if_match_quotes"] is (s3_server.name != "ceph")
    client = s3_server.client()
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
    client.close()


def test_a_bucket_that_keeps_versions_is_left_as_it_was(s3_server: S3Server, bucket: str) -> None:
    client = s3_server.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    done = probe(s3_server, bucket)
    assert "expire noncurrent versions by a lifecycle rule" in done.stdout
    assert done.stderr == ""
    assert not {"Versions", "DeleteMarkers"} & client.list_object_versions(Bucket=bucket).keys()
    client.close()
    last_line = done.stdout.splitlines()[-1]
    if s3_server.name == "ceph":
        # In such a bucket Ceph 16 ignores If-None-Match, and refuses every If-Match.
        assert (done.returncode, last_line[:19]) == (1, "commits are refused")
        with S3ObjectStore(bucket, client=s3_server.client()) as objects, pytest.raises(UnsupportedOperationError):
            DesStore.init(objects)
    else:
        assert (done.returncode, last_line) == (0, "commits are safe")


def test_what_the_probe_says_of_quotes_can_be_set_in_the_url(
    s3_server: S3Server, make_objects: MakeObjects, bucket: str
) -> None:
    quotes = json.loads(probe(s3_server, bucket, "--json").stdout)["if_match_quotes"]
    told = make_objects(if_match_quotes=quotes)
    first = told.put("a", b"1")
    told.put("a", b"2", mode={"e_tag": first["e_tag"]})
    if s3_server.name == "ceph":
        mistaken = make_objects(if_match_quotes=True)
        with pytest.raises(ObjectChangedError):
            mistaken.put("a", b"3", mode={"e_tag": mistaken.head("a")["e_tag"]})
