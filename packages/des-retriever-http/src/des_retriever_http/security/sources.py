"""Where credentials are kept, and how they are renewed while the service runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from des_format.errors import ConfigurationError, DesError, UnavailableError

from .credentials import Credentials, parse_credentials

__all__ = ["Keeper", "from_file", "from_vault"]

RELOADED = "credentials_reloaded"
NOT_RELOADED = "credentials_not_reloaded"

log = logging.getLogger(__name__)

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_TIMEOUT_SECONDS = 5


class Keeper:
    """Knows the credentials, and reads them again now and then.

    A document that cannot be read, or is malformed, changes nothing: who was known is known, and the log says what is
    wrong with it.

    Args:
        load: Returns the document; it may block.
        where: Where that is, for errors.
        seconds: After so long it is read again.
    """

    def __init__(self, load: Callable[[], Any], where: str, seconds: float) -> None:
        self._load = load
        self._where = where
        self._seconds = seconds
        self._document: Any = None
        self._wake = asyncio.Event()
        self._credentials = Credentials()

    def __call__(self) -> Credentials:
        """Return the credentials as they were read last."""
        return self._credentials

    async def read(self) -> bool:
        """Read them; return whether they have changed.

        Raises:
            ConfigurationError: The document is malformed.
            UnavailableError: It cannot be read.
        """
        document = await asyncio.to_thread(self._load)
        if document == self._document:
            return False
        self._credentials = parse_credentials(document, where=self._where)
        self._document = document
        return True

    def read_soon(self) -> None:
        """Read them again now."""
        self._wake.set()

    async def watch(self) -> None:
        """Read them again and again, for as long as this is awaited."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._seconds)
            self._wake.clear()
            try:
                if await self.read():
                    log.info(RELOADED, extra={"source": self._where})
            except DesError as error:
                log.error(NOT_RELOADED, extra={"source": self._where, "error": str(error)})
            # If this ended, a key that is taken back would be good for ever. What the error says may be secret.
            except Exception as error:
                log.error(NOT_RELOADED, extra={"source": self._where, "error": type(error).__name__})


def from_file(path: Path) -> Callable[[], str]:
    """Return what reads a document from a file."""

    def load() -> str:
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ConfigurationError(f"DES_AUTHORIZED_KEYS_PATH: {path} is not there") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UnavailableError(f"{path} cannot be read: {error}") from error

    return load


def from_vault(address: str, *, token: str | None, role: str | None, mount: str, path: str) -> Callable[[], Any]:
    """Return what reads a document from the KV engine (version 2) of Vault or OpenBao.

    Args:
        address: Of the server.
        token: To log in with.
        role: To log in as, with the service account of the pod; in place of a token.
        mount: Where the engine is.
        path: The secret.
    """
    try:
        import hvac
        from hvac.exceptions import Forbidden, VaultError
    except ImportError:
        raise ConfigurationError("DES_VAULT_ADDR needs `pip install 'des-retriever-http[vault]'`") from None

    client = hvac.Client(url=address, token=token, timeout=_TIMEOUT_SECONDS)

    def read() -> Any:
        return client.secrets.kv.v2.read_secret_version(path, mount_point=mount, raise_on_deleted_version=True)

    def log_in_and_read() -> Any:
        client.auth.kubernetes.login(role=role, jwt=_SERVICE_ACCOUNT.read_text(encoding="utf-8").strip())
        return read()

    def load() -> Any:
        try:
            try:
                answer = read() if client.token else log_in_and_read()
            except Forbidden:
                if role is None:
                    raise
                answer = log_in_and_read()  # The token that the last login gave has ended.
        # hvac lets the errors of requests through, which are OSErrors.
        except (VaultError, OSError) as error:
            raise UnavailableError(f"{address}: {mount}/{path} cannot be read: {type(error).__name__}") from error
        try:
            return answer["data"]["data"]
        # What is no JSON, hvac returns as it came.
        except (TypeError, KeyError):
            raise UnavailableError(f"{address}: {mount}/{path} is no secret of a KV engine, version 2") from None

    return load
