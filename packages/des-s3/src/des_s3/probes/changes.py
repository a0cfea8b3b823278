"""Questions about uploads in parts, checksums, listings and deletes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from ..checksums import crc32c
from ..failures import VENDOR_ERRORS
from ..probing import Verdict
from .judging import REFUSALS, Answered, is_success
from .requests import ProbeRequests

__all__ = ["Changes"]

_CONTENT = b"content"
_WRONG_MD5 = "AAAAAAAAAAAAAAAAAAAAAA=="
_WRONG_CRC32C = "AAAAAA=="


class Changes:
    """Asks them."""

    def __init__(self, requests: ProbeRequests) -> None:
        self._requests = requests
        self.questions: Mapping[str, Callable[[], Answered]] = {
            "multipart": self._multipart,
            "multipart_create": self._multipart_create,
            "list_after": self._list_after,
            "delete_many": self._delete_many,
            "content_md5": lambda: requests.refusal("put_object", "md5", Body=_CONTENT, ContentMD5=_WRONG_MD5),
            "crc32c": self._crc32c,
            "crc32c_parts": self._crc32c_parts,
        }

    def _upload(self, name: str, content: bytes, **condition: str) -> int:
        upload = {"UploadId": self._requests.send("create_multipart_upload", name)["UploadId"]}
        status = 0
        try:
            tag = self._requests.send("upload_part", name, **upload, PartNumber=1, Body=content)["ETag"]
            parts = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": tag}]}}
            status = self._requests.status("complete_multipart_upload", name, **upload, **parts, **condition)
        finally:
            if not is_success(status):
                with suppress(*VENDOR_ERRORS):
                    self._requests.send("abort_multipart_upload", name, **upload)
        return status

    def _multipart(self) -> Answered:
        status = self._upload("parts", b"in parts")
        if status < 300 and self._requests.read("parts") == b"in parts":
            return Verdict.YES, ""
        return (Verdict.NO if status < 500 else Verdict.UNKNOWN), str(status)

    def _multipart_create(self) -> Answered:
        self._requests.put("taken", b"first")
        status = self._upload("taken", b"second", IfNoneMatch="*")
        if self._requests.read("taken") != b"first":
            return Verdict.IGNORED, f"{status} for what had to be refused"
        return (Verdict.YES if status in REFUSALS else Verdict.NO), str(status)

    def _list_after(self) -> Answered:
        for name in ("list/a", "list/b", "list-c", "list/d"):
            self._requests.put(name, b"")
        found = self._requests.names(StartAfter=f"{self._requests.prefix}list/a")
        listed = [name for name in found if name.startswith("list")]
        if listed == ["list/b", "list/d"]:
            return Verdict.YES, ""
        return (Verdict.IGNORED if "list/a" in listed else Verdict.NO), f"lists {', '.join(listed)}"

    def _delete_many(self) -> Answered:
        names = ("deleted-a", "deleted-b", "deleted-none")
        for name in names[:2]:
            self._requests.put(name, b"")
        keys = [{"Key": self._requests.prefix + name} for name in names]
        answer = self._requests.send("delete_objects", Delete={"Objects": keys, "Quiet": True})
        left = [name for name in self._requests.names() if "deleted-" in name]
        if left:
            return Verdict.IGNORED, f"{len(left)} of 2 are still there"
        return (Verdict.NO, str(answer["Errors"])) if answer.get("Errors") else (Verdict.YES, "")

    def _crc32c(self) -> Answered:
        self._requests.put("crc32c", _CONTENT, ChecksumCRC32C=crc32c(_CONTENT))
        return self._requests.refusal("put_object", "crc32c", Body=_CONTENT, ChecksumCRC32C=_WRONG_CRC32C)

    def _crc32c_parts(self) -> Answered:
        name = "crc32c-parts"
        upload = self._requests.send("create_multipart_upload", name, ChecksumAlgorithm="CRC32C")["UploadId"]
        part = {"UploadId": upload, "PartNumber": 1, "Body": _CONTENT}
        try:
            refused = self._requests.refusal("upload_part", name, **part, ChecksumCRC32C=_WRONG_CRC32C)
            checksum = {"ChecksumCRC32C": crc32c(_CONTENT)}
            tag = self._requests.send("upload_part", name, **part, **checksum)["ETag"]
            parts = {"Parts": [{"PartNumber": 1, "ETag": tag, **checksum}]}
            self._requests.send("complete_multipart_upload", name, UploadId=upload, MultipartUpload=parts)
        except BaseException:
            with suppress(*VENDOR_ERRORS):
                self._requests.send("abort_multipart_upload", name, UploadId=upload)
            raise
        return refused
