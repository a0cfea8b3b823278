"""Reading ranges: by obstore, which costs a fraction of the CPU time, or by boto3 and aiobotocore, the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from des_format.errors import AccessDeniedError
from des_format.objects.results import LoadedResult
from des_format.ports.objects import GetOptions
from obstore.exceptions import BaseError as ObstoreError

from .calls import Caller
from .clients import Clients
from .failures import VENDOR_ERRORS, RangeOutsideError, translated
from .metrics import S3Metrics
from .operations import get

if TYPE_CHECKING:
    from obstore import GetResult

__all__ = ["BotoReads", "ObstoreReads", "Reads"]


class Reads(Protocol):
    """Reads objects; `path` names the object in the result, `key` in the bucket."""

    def get(self, path: str, key: str, options: GetOptions) -> LoadedResult: ...

    async def get_async(self, path: str, key: str, options: GetOptions) -> LoadedResult: ...


class BotoReads:
    """Reads by boto3, and by aiobotocore in an event loop."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def get(self, path: str, key: str, options: GetOptions) -> LoadedResult:
        return self._caller.run(get(path, key, options))

    async def get_async(self, path: str, key: str, options: GetOptions) -> LoadedResult:
        return await self._caller.run_async(get(path, key, options))


class ObstoreReads:
    """Reads by obstore, which repeats what fails, and goes on with a body that was cut.

    Whatever it cannot answer as the port says, such as a range after the end, is left to the reference.

    Args:
        clients: Give the obstore store.
        metrics: Count requests.
        reference: Reads the rest.
    """

    def __init__(self, clients: Clients, metrics: S3Metrics, reference: BotoReads) -> None:
        self._clients = clients
        self._metrics = metrics
        self._reference = reference

    def get(self, path: str, key: str, options: GetOptions) -> LoadedResult:
        if (plain := _plain(options)) is not None:
            for _ in range(2):
                try:
                    result = self._clients.fast().get(key, options=plain)
                    return self._loaded(path, result, bytes(result.buffer()))
                except VENDOR_ERRORS as error:
                    if not self._is_to_repeat(error, key):
                        break
        return self._reference.get(path, key, options)

    async def get_async(self, path: str, key: str, options: GetOptions) -> LoadedResult:
        if (plain := _plain(options)) is not None:
            for _ in range(2):
                try:
                    result = await self._clients.fast().get_async(key, options=plain)
                    return self._loaded(path, result, bytes(await result.buffer_async()))
                except VENDOR_ERRORS as error:
                    if not self._is_to_repeat(error, key):
                        break
        return await self._reference.get_async(path, key, options)

    def _loaded(self, path: str, result: GetResult, data: bytes) -> LoadedResult:
        meta: Any = result.meta
        meta["path"] = path
        self._metrics.count("get_object", "ok", len(data))
        return LoadedResult(meta, result.range, data)

    def _is_to_repeat(self, error: Exception, key: str) -> bool:
        """Whether another attempt is worth it at once, having new credentials; False leaves it to the reference.

        Raises:
            DesError: It failed.
        """
        failure = translated(error, key)
        if isinstance(failure, AccessDeniedError) and isinstance(error, ObstoreError) and self._clients.renew_fast():
            return True
        if isinstance(failure, RangeOutsideError):
            return False
        self._metrics.count("get_object", failure.code)
        raise failure


_PLAIN = {"range", "if_match", "if_none_match"}


def _plain(options: GetOptions) -> Any:
    """Return the options for obstore; None where it would not answer as the port says."""
    if not options.keys() <= _PLAIN or not _is_range(options.get("range")):
        return None
    return {name: value for name, value in options.items() if value is not None}


def _is_range(chosen: Any) -> bool:
    """Whether a range has bytes, and is of a known form."""
    match chosen:
        case [start, end] if isinstance(start, int) and isinstance(end, int):  # Patterns of classes take 1 us more.
            return 0 <= start < end
        case None:
            return True
        case {"suffix": int(number)}:
            return number > 0
        case {"offset": int(number)}:
            return number >= 0
    return False
