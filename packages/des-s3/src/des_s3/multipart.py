"""Objects in parts: bounded memory, parallel requests, and nothing visible before the last one."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal

from des_format.errors import (
    ConfigurationError,
    DesError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
    UnsupportedOperationError,
)
from des_format.objects.results import expected_tag
from des_format.ports.objects import PutMode, PutResult

from .calls import Answer, Call, Caller
from .checksums import crc32c
from .failures import UploadGoneError
from .operations import conditions, content_md5, head, put
from .quotes import IfMatchQuotes

__all__ = ["MAX_PART_COUNT", "MIN_PART_BYTES", "PartSize", "Upload", "part_sizes"]

MIN_PART_BYTES = 5 << 20
MAX_PART_COUNT = 10_000

PartSize = int | Literal["adaptive"]
Part = dict[str, Any]
"""A part that is there, as the completing request names it."""

_FIRST_PART_BYTES = 8 << 20
_GROWTH_BYTES = 17
_COMPLETE_ATTEMPTS = 4


def part_sizes(part_size: PartSize) -> Callable[[int], int]:
    """Return the function from a part's number, from 0, to its size in bytes.

    `adaptive` begins at 8 MiB and grows with the square of the number: 24 MiB after 16 GiB, 5 TiB in 10,000 parts.

    Raises:
        ConfigurationError: The size is under 5 MiB, which S3 refuses.
    """
    if part_size == "adaptive":
        return lambda number: _FIRST_PART_BYTES + _GROWTH_BYTES * number * number
    if part_size < MIN_PART_BYTES:
        raise ConfigurationError(f"part_size is {part_size} bytes, expected at least {MIN_PART_BYTES}")
    return lambda _number: part_size


class Upload:
    """Writes one object front to back; it appears by `finish`, in one step.

    What fits in one part is one conditional PUT. Of anything larger, `max_parallel` parts are on their way while the
    next one is filled. Not safe to share between threads.

    Args:
        caller: Sends requests.
        key: The object's key in the bucket.
        mode: As for `ObjectStore.put`. Services that ignore conditions of the completing request are asked, right
            before, whether the object is there; the gap between is theirs to close.
        quotes: How tags are sent.
        part_size: Bytes of a part, or `adaptive`.
        max_parallel: Parts on their way at the same time.
    """

    def __init__(
        self,
        caller: Caller,
        key: str,
        mode: PutMode,
        quotes: IfMatchQuotes,
        *,
        part_size: PartSize = "adaptive",
        max_parallel: int = 4,
    ) -> None:
        if max_parallel < 1:
            raise ConfigurationError(f"max_parallel_parts is {max_parallel}, expected at least 1")
        self._caller = caller
        self._key = key
        self._mode = mode
        self._quotes = quotes
        self._sizes = part_sizes(part_size)
        self._max_parallel = max_parallel
        self._buffer = bytearray()
        self._parts: list[Future[Part]] = []
        self._has_checksums = caller.clients.sends_crc32c
        self._upload_id: str | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._slots = threading.Semaphore(max_parallel)
        self._failure: DesError | None = None
        self.size = 0

    def write(self, data: bytes | memoryview, /) -> int:
        """Append bytes; waits while `max_parallel` parts are on their way.

        Raises:
            DesError: A part could not be written; nothing but `abort` is left to do.
        """
        view = memoryview(data)
        length = len(view)
        while view:
            room = self._sizes(len(self._parts)) - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            # The last part may be of any size, so a full one is sent when there is more to come.
            if view:
                self._send_part()
        self.size += length
        return length

    def copy(self, source: str, start: int, e_tag: str | None) -> int:
        """Append a part that the service takes from another object of the bucket, before anything is written.

        Args:
            source: The other object's key in the bucket.
            start: Where in it the part begins.
            e_tag: The version that it has to be.

        Returns:
            Where the part ends.

        Raises:
            DesError: As for `write`.
        """
        end = start + self._sizes(len(self._parts))
        self._begin_part(lambda number: self._copy_part(number, source, f"bytes={start}-{end - 1}", e_tag))
        self.size += end - start
        return end

    def settle(self) -> None:
        """Wait until all parts that were begun are there.

        Raises:
            DesError: As for `write`.
        """
        for part in self._parts:
            part.result()

    def _send_part(self) -> None:
        data, self._buffer = bytes(self._buffer), bytearray()
        self._begin_part(lambda number: self._put_part(number, data))

    def _begin_part(self, send: Callable[[int], Part]) -> None:
        if len(self._parts) == MAX_PART_COUNT:
            raise ConfigurationError(f"object {self._key!r} has more than {MAX_PART_COUNT} parts; use larger ones")
        if self._upload_id is None:
            # Of the type COMPOSITE, which is the default, and all that some services have (R2).
            algorithm = {"ChecksumAlgorithm": "CRC32C"} if self._has_checksums else {}
            answer = self._caller.send(Call("create_multipart_upload", self._key, algorithm))
            self._upload_id = answer["UploadId"]
            self._threads = ThreadPoolExecutor(self._max_parallel, thread_name_prefix="des-s3-part")
        assert self._threads is not None
        self._slots.acquire()
        self._raise_failure()
        self._parts.append(self._threads.submit(self._settle_part, send, len(self._parts) + 1))

    def _settle_part(self, send: Callable[[int], Part], number: int) -> Part:
        try:
            return send(number)
        except DesError as error:
            self._failure = error
            raise
        finally:
            self._slots.release()

    def _put_part(self, number: int, data: bytes) -> Part:
        checksum = {"ChecksumCRC32C": crc32c(data)} if self._has_checksums else {}
        place = {"UploadId": self._upload_id, "PartNumber": number}
        call = Call("upload_part", self._key, {**place, "Body": data, **content_md5(data), **checksum})
        return {"PartNumber": number, "ETag": self._caller.send(call)["ETag"], **checksum}

    def _copy_part(self, number: int, source: str, bytes_range: str, e_tag: str | None) -> Part:
        arguments: dict[str, Any] = {
            "UploadId": self._upload_id,
            "PartNumber": number,
            "CopySource": {"Bucket": self._caller.clients.bucket, "Key": source},
            "CopySourceRange": bytes_range,
        }
        if e_tag is not None:
            arguments["CopySourceIfMatch"] = e_tag
        made = self._caller.send(Call("upload_part_copy", self._key, arguments)).get("CopyPartResult", {})
        if "ETag" not in made:
            raise UnsupportedOperationError(f"object {self._key!r}: the server copied no part of {source!r}")
        # The service computes it where the upload was begun with an algorithm.
        checksum = {name: made[name] for name in ("ChecksumCRC32C",) if name in made}
        return {"PartNumber": number, "ETag": made["ETag"], **checksum}

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def finish(self) -> PutResult:
        """Make the object appear.

        Raises:
            ObjectExistsError, ObjectChangedError: As for `ObjectStore.put`.
            UnavailableError: It failed; whether the object appeared is not known.
        """
        if self._upload_id is None:
            return self._caller.run(put(self._key, bytes(self._buffer), self._mode, self._quotes))
        self._send_part()
        parts = [part.result() for part in self._parts]
        self._check_target()
        return self._complete(parts)

    def _check_target(self) -> None:
        if self._mode == "overwrite":
            return
        wanted = expected_tag(self._key, self._mode)
        try:
            found = self._caller.run(head(self._key, self._key))["e_tag"]
        except ObjectNotFoundError:
            found = None
        if wanted is None and found is not None:
            raise ObjectExistsError(f"object {self._key!r} exists")
        if wanted is not None and found != wanted:
            raise ObjectChangedError(f"object {self._key!r} is version {found}, expected {wanted}")

    def _complete(self, parts: list[Part]) -> PutResult:
        tags = [part["ETag"] for part in parts]
        arguments: dict[str, Any] = {
            "UploadId": self._upload_id,
            "MultipartUpload": {"Parts": parts},
            **conditions(self._mode, self._quotes),
        }
        call = Call("complete_multipart_upload", self._key, arguments, self._mode, once=True)
        failure: DesError = UnavailableError(f"object {self._key!r} could not be completed")
        for attempt in range(_COMPLETE_ATTEMPTS):
            try:
                answer = self._caller.send(call)
            except (UnavailableError, ObjectExistsError, ObjectChangedError) as error:
                failure = error
            else:
                self._close_threads()
                # Ceph's answer has an empty one.
                tag = answer.get("ETag") or _tag_of_parts(tags) or self._found_tag()
                return PutResult(e_tag=tag, version=_version(answer))
            may_pass = isinstance(failure, UnavailableError)
            # Once a reply got lost, a repetition finds the upload gone, or its own object in the way.
            if (may_pass or attempt) and (made := self._read_back(tags)) is not None:
                return made
            if not may_pass or isinstance(failure, UploadGoneError):
                break
            time.sleep(random.uniform(0, 2**attempt * self._caller.clients.settings.retries.first_wait_seconds))
        raise failure

    def _found_tag(self) -> str | None:
        return self._caller.run(head(self._key, self._key))["e_tag"]

    def _read_back(self, tags: list[str]) -> PutResult | None:
        """Return the identity of the object if it is the one that the parts make; None if that is not certain."""
        try:
            found = self._caller.run(head(self._key, self._key))
        except DesError:
            return None
        if found["size"] != self.size or found["e_tag"] != _tag_of_parts(tags):
            return None
        self._close_threads()
        return PutResult(e_tag=found["e_tag"], version=found["version"])

    def abort(self) -> None:
        """Give up what was written. Parts that could not be removed stay until the bucket's lifecycle rule."""
        self._buffer = bytearray()
        upload_id, self._upload_id = self._upload_id, None
        if upload_id is None:
            return
        # A part that arrives after the abort would stay, and be paid for.
        for part in self._parts:
            part.cancel()
        self._close_threads()
        with suppress(DesError):
            self._caller.send(Call("abort_multipart_upload", self._key, {"UploadId": upload_id}))

    def _close_threads(self) -> None:
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None


def _tag_of_parts(tags: list[str]) -> str | None:
    """Return the ETag that S3 gives an object of these parts; None where tags are no MD5 sums."""
    try:
        digests = b"".join(bytes.fromhex(tag.strip('"')) for tag in tags)
        return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(tags)}"'
    except ValueError:
        return None


def _version(answer: Answer) -> str | None:
    version: str | None = answer.get("VersionId")
    return None if version == "null" else version
