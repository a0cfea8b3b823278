"""Ask a service what it can do, by trying it on objects below a prefix of the probe's own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from threading import Barrier
from typing import Any

from botocore.exceptions import ClientError
from des_format.errors import DesError, UnavailableError

from .calls import Answer
from .checksums import crc32c
from .failures import VENDOR_ERRORS, translated
from .probing import FEATURES, Finding, ProbeReport, Verdict
from .store import S3ObjectStore

__all__ = ["probe"]

_RACERS = 8
_ROUNDS = 3
_CONTENT = b"0123456789"
_WRONG_MD5 = "AAAAAAAAAAAAAAAAAAAAAA=="
_WRONG_CRC32C = "AAAAAA=="
_REFUSALS = frozenset({304, 400, 404, 409, 412})
_MISSING = frozenset({405, 501})

Answered = tuple[Verdict, str]


def probe(objects: S3ObjectStore) -> ProbeReport:
    """Try every feature of `FEATURES`; takes about a hundred small requests, each sent once.

    Everything is written below `des-probe-...` in the store's prefix, and removed at the end.

    Raises:
        AccessDeniedError: Objects may not be written and read there.
        ConfigurationError: There is no such bucket.
        UnavailableError: The service cannot be reached.
    """
    probing = _Probe(objects)
    try:
        probing.begin()
        findings = [Finding(feature, *probing.ask(feature.name)) for feature in FEATURES]
    finally:
        left = probing.end()
    return ProbeReport(findings, left)


class _Probe:
    def __init__(self, objects: S3ObjectStore) -> None:
        self._clients = objects._clients
        self._prefix = f"{objects.prefix}des-probe-{uuid.uuid4().hex}/"
        self._quotes: bool | None = None
        self._is_versioned = False

    # -- requests ---------------------------------------------------------------------------

    def _send(self, operation: str, name: str | None = None, **arguments: Any) -> Answer:
        """Send one request; raises what botocore raises."""
        arguments |= {"Bucket": self._clients.bucket, **self._clients.settings.extras(operation)}
        if name is not None:
            arguments["Key"] = self._prefix + name
        answer: Answer = getattr(self._clients.sync(), operation)(**arguments)
        if operation == "get_object":
            with closing(answer["Body"]) as body:
                answer["Body"] = body.read()
        return answer

    def _status(self, operation: str, name: str | None = None, **arguments: Any) -> int:
        """Send one request, and return the status that it was answered with."""
        try:
            answer = self._send(operation, name, **arguments)
        except ClientError as error:
            return _status_of(error)
        return int(answer["ResponseMetadata"]["HTTPStatusCode"])

    def _refusal(self, operation: str, name: str | None = None, **arguments: Any) -> Answered:
        """Send a request that has to be refused."""
        status = self._status(operation, name, **arguments)
        if 200 <= status < 300:
            return Verdict.IGNORED, f"{status} for what had to be refused"
        if status in _MISSING:
            return Verdict.NO, str(status)
        return (Verdict.YES, str(status)) if status in _REFUSALS else (Verdict.UNKNOWN, str(status))

    def _put(self, name: str, content: bytes, **arguments: Any) -> str:
        return str(self._send("put_object", name, Body=content, **arguments).get("ETag", ""))

    def _read(self, name: str, **arguments: Any) -> bytes:
        body: bytes = self._send("get_object", name, **arguments)["Body"]
        return body

    # -- beginning and end ------------------------------------------------------------------

    def begin(self) -> None:
        """See that objects can be written and read at all."""
        try:
            self._put("object", _CONTENT)
            found = self._read("object")
        except VENDOR_ERRORS as error:
            raise translated(error, self._prefix + "object", "overwrite") from error
        if found != _CONTENT:
            raise UnavailableError(f"object {self._prefix}object: read {found!r}, wrote {_CONTENT!r}")

    def ask(self, name: str) -> Answered:
        """Try one feature."""
        try:
            answered: Answered = getattr(self, f"ask_{name}")()
        except ClientError as error:
            status = _status_of(error)
            return (Verdict.NO if status in {400, *_MISSING} else Verdict.UNKNOWN), str(status)
        except VENDOR_ERRORS as error:
            raise translated(error, self._prefix) from error
        return answered

    def end(self) -> list[str]:
        """Remove what was written, with all its versions; return the keys that could not be removed."""
        with suppress(*VENDOR_ERRORS, DesError):
            if self._is_versioned:
                page = self._send("list_object_versions", Prefix=self._prefix)
                for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    self._send("delete_object", one["Key"].removeprefix(self._prefix), VersionId=one["VersionId"])
                return []
        with suppress(*VENDOR_ERRORS, DesError):
            for key in self._keys():
                self._send("delete_object", key.removeprefix(self._prefix))
            return self._keys()
        return [self._prefix]

    def _keys(self, **arguments: Any) -> list[str]:
        return [
            row["Key"] for row in self._send("list_objects_v2", Prefix=self._prefix, **arguments).get("Contents", [])
        ]

    # -- conditional writes -----------------------------------------------------------------

    def ask_create(self) -> Answered:
        self._put("create", b"1", IfNoneMatch="*")
        return self._refusal("put_object", "create", Body=b"2", IfNoneMatch="*")

    def ask_create_race(self) -> Answered:
        return self._race(lambda number: (f"created-{number}", {"IfNoneMatch": "*"}))

    def ask_replace_quoted(self) -> Answered:
        return self._ask_replace("quoted", lambda tag: f'"{tag}"')

    def ask_replace_bare(self) -> Answered:
        return self._ask_replace("bare", lambda tag: tag)

    def _ask_replace(self, name: str, dress: Callable[[str], str]) -> Answered:
        tag = self._put(name, b"1").strip('"')
        if not tag:
            return Verdict.NO, "objects have no ETag"
        status = self._status("put_object", name, Body=b"2", IfMatch=dress(tag))
        if status >= 300:
            return (Verdict.NO if status in _REFUSALS | _MISSING else Verdict.UNKNOWN), f"{status} for the right tag"
        answered = self._refusal("put_object", name, Body=b"3", IfMatch=dress(tag))
        if answered[0] is Verdict.YES and self._quotes is None:
            self._quotes = name == "quoted"
        return answered

    def ask_replace_race(self) -> Answered:
        if self._quotes is None:
            return Verdict.NO, "no form of If-Match works"

        def prepare(number: int) -> tuple[str, dict[str, str]]:
            tag = self._put(f"replaced-{number}", b"first").strip('"')
            return f"replaced-{number}", {"IfMatch": f'"{tag}"' if self._quotes else tag}

        return self._race(prepare)

    def _race(self, prepare: Callable[[int], tuple[str, dict[str, str]]]) -> Answered:
        """Let many write one object on the same condition, some times, and see that one of them wins."""
        refused: set[int] = set()
        with ThreadPoolExecutor(_RACERS) as threads:
            for number in range(_ROUNDS):
                name, condition = prepare(number)
                start = Barrier(_RACERS)

                def write(racer: int, name: str = name, condition: Any = condition, start: Barrier = start) -> int:
                    start.wait()
                    return self._status("put_object", name, Body=b"%d" % racer, **condition)

                statuses = list(threads.map(write, range(_RACERS)))
                if set(statuses) <= _MISSING:
                    return Verdict.NO, str(statuses[0])
                winners = [racer for racer, status in enumerate(statuses) if status < 300]
                # One whose end is in doubt (5xx) may have won, if nobody else did.
                possible = winners or [racer for racer, status in enumerate(statuses) if status >= 500]
                if len(winners) > 1 or self._read(name) not in [b"%d" % racer for racer in possible]:
                    return Verdict.NO, f"{len(winners)} of {_RACERS} were told that they had won"
                refused |= {status for status in statuses if status >= 300}
        answers = ", ".join(map(str, sorted(refused)))
        return Verdict.YES, f"{_ROUNDS} rounds; others were answered {answers}"

    # -- reads ------------------------------------------------------------------------------

    def ask_range(self) -> Answered:
        return self._ask_range("bytes=3-5", _CONTENT[3:6])

    def ask_suffix(self) -> Answered:
        first = self._ask_range("bytes=-4", _CONTENT[-4:])
        # An archive may be shorter than what is asked for to open it.
        return first if first[0] is not Verdict.YES else self._ask_range("bytes=-100", _CONTENT)

    def _ask_range(self, header: str, expected: bytes) -> Answered:
        found = self._read("object", Range=header)
        if found == expected:
            return Verdict.YES, ""
        return (Verdict.IGNORED, "sends the whole object") if found == _CONTENT else (Verdict.NO, f"sends {found!r}")

    def ask_get_if_match(self) -> Answered:
        return self._refusal("get_object", "object", IfMatch=f'"{"0" * 32}"')

    def ask_get_if_none_match(self) -> Answered:
        tag = self._send("head_object", "object").get("ETag", "")
        return self._refusal("get_object", "object", IfNoneMatch=tag)

    # -- other writes -----------------------------------------------------------------------

    def _upload(self, name: str, content: bytes, **condition: str) -> int:
        upload = {"UploadId": self._send("create_multipart_upload", name)["UploadId"]}
        status = 0
        try:
            tag = self._send("upload_part", name, **upload, PartNumber=1, Body=content)["ETag"]
            parts = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": tag}]}}
            status = self._status("complete_multipart_upload", name, **upload, **parts, **condition)
        finally:
            if not 200 <= status < 300:
                with suppress(*VENDOR_ERRORS):
                    self._send("abort_multipart_upload", name, **upload)
        return status

    def ask_multipart(self) -> Answered:
        status = self._upload("parts", b"in parts")
        if status < 300 and self._read("parts") == b"in parts":
            return Verdict.YES, ""
        return (Verdict.NO if status < 500 else Verdict.UNKNOWN), str(status)

    def ask_multipart_create(self) -> Answered:
        self._put("taken", b"first")
        status = self._upload("taken", b"second", IfNoneMatch="*")
        if self._read("taken") != b"first":
            return Verdict.IGNORED, f"{status} for what had to be refused"
        return (Verdict.YES if status in _REFUSALS else Verdict.NO), str(status)

    def ask_list_after(self) -> Answered:
        for name in ("list/a", "list/b", "list-c", "list/d"):
            self._put(name, b"")
        found = [key.removeprefix(self._prefix) for key in self._keys(StartAfter=f"{self._prefix}list/a")]
        listed = [name for name in found if name.startswith("list")]
        if listed == ["list/b", "list/d"]:
            return Verdict.YES, ""
        return (Verdict.IGNORED if "list/a" in listed else Verdict.NO), f"lists {', '.join(listed)}"

    def ask_delete_many(self) -> Answered:
        names = ("deleted-a", "deleted-b", "deleted-none")
        for name in names[:2]:
            self._put(name, b"")
        keys = [{"Key": self._prefix + name} for name in names]
        answer = self._send("delete_objects", Delete={"Objects": keys, "Quiet": True})
        left = [key for key in self._keys() if "deleted-" in key]
        if left:
            return Verdict.IGNORED, f"{len(left)} of 2 are still there"
        return (Verdict.NO, str(answer["Errors"])) if answer.get("Errors") else (Verdict.YES, "")

    def ask_content_md5(self) -> Answered:
        return self._refusal("put_object", "md5", Body=b"content", ContentMD5=_WRONG_MD5)

    def ask_crc32c(self) -> Answered:
        self._put("crc32c", _CONTENT, ChecksumCRC32C=crc32c(_CONTENT))
        return self._refusal("put_object", "crc32c", Body=_CONTENT, ChecksumCRC32C=_WRONG_CRC32C)

    def ask_crc32c_parts(self) -> Answered:
        upload = self._send("create_multipart_upload", "crc32c-parts", ChecksumAlgorithm="CRC32C")["UploadId"]
        part = {"UploadId": upload, "PartNumber": 1, "Body": _CONTENT}
        try:
            refused = self._refusal("upload_part", "crc32c-parts", **part, ChecksumCRC32C=_WRONG_CRC32C)
            checksum = {"ChecksumCRC32C": crc32c(_CONTENT)}
            tag = self._send("upload_part", "crc32c-parts", **part, **checksum)["ETag"]
            parts = {"Parts": [{"PartNumber": 1, "ETag": tag, **checksum}]}
            self._send("complete_multipart_upload", "crc32c-parts", UploadId=upload, MultipartUpload=parts)
        except BaseException:
            with suppress(*VENDOR_ERRORS):
                self._send("abort_multipart_upload", "crc32c-parts", UploadId=upload)
            raise
        return refused

    # -- settings of the bucket -------------------------------------------------------------

    def ask_versioning(self) -> Answered:
        state = self._send("get_bucket_versioning").get("Status", "never on")
        self._is_versioned = state != "never on"
        return (Verdict.YES if state == "Enabled" else Verdict.NO), state.lower()

    def ask_object_lock(self) -> Answered:
        try:
            answer = self._send("get_object_lock_configuration")
        except ClientError as error:
            if _status_of(error) in {400, 404, *_MISSING}:
                return Verdict.NO, error.response["Error"]["Code"]
            raise
        settings = answer.get("ObjectLockConfiguration", {})
        return (Verdict.YES if settings.get("ObjectLockEnabled") == "Enabled" else Verdict.NO), ""


def _status_of(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))
