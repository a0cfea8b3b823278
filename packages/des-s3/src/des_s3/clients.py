"""The clients of one bucket: boto3, aiobotocore and obstore, made when they are first needed."""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from obstore.store import S3Store

from .checksums import is_sent
from .credentials import ObstoreCredentials
from .parallel import parallel_reads
from .settings import S3Settings

if TYPE_CHECKING:
    from .loops import LoopClients

__all__ = ["Clients"]

_TIMEOUT = timedelta(minutes=10)


class Clients:
    """Makes clients, and keeps them; safe to share between threads and event loops.

    Args:
        bucket: The bucket's name.
        settings: How S3 is reached.
        session: Where credentials, region and profile come from.
        client: A boto3 client of the caller's, which then serves everything, with its own settings.
    """

    def __init__(self, bucket: str, settings: S3Settings, session: boto3.Session | None, client: Any) -> None:
        self.bucket = bucket
        self.settings = settings
        self._given_session = session
        self.given = client
        self._reset()

    def _guard(self) -> threading.Lock:
        if self._process != os.getpid():
            # Connections are the parent's, not a forked child's, and the lock may be in someone's hold.
            self._reset()
        return self._lock

    def _reset(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._session = self._given_session
        self._sync: Any = None
        self._loops: LoopClients | None = None
        self._fast: S3Store | None = None
        self._fast_credentials: ObstoreCredentials | None = None

    def session(self) -> boto3.Session:
        """Return the boto3 session."""
        if self._session is None:
            self._session = boto3.Session()
        return self._session

    def sync(self) -> Any:
        """Return the boto3 client."""
        if self.given is not None:
            return self.given
        client = self._sync
        if client is not None and self._process == os.getpid():
            return client
        with self._guard():
            return self._make_sync()

    def _make_sync(self) -> Any:
        if self._sync is None:
            self._sync = self.session().client(
                "s3",
                endpoint_url=self.settings.endpoint_url,
                region_name=self.settings.region_name,
                config=self.settings.boto_config(),
            )
        return self._sync

    @property
    def parallel_reads(self) -> int:
        """How many reads may run at the same time; by a client of the caller's, as many as it keeps connections."""
        return parallel_reads() if self.given is None else parallel_reads(self.given.meta.config.max_pool_connections)

    @property
    def sends_crc32c(self) -> bool:
        """Whether uploads carry their CRC32C."""
        return is_sent(self.settings.upload_checksums, self.sync().meta.endpoint_url)

    def loops(self) -> LoopClients:
        """Return the aiobotocore clients."""
        with self._guard():
            if self._loops is None:
                from .loops import LoopClients

                self._loops = LoopClients(self.settings, self.session())
            return self._loops

    def fast(self) -> S3Store:
        """Return the obstore store of the bucket."""
        fast = self._fast
        if fast is not None and self._process == os.getpid():
            return fast
        with self._guard():
            client = self._make_sync() if self.given is None else self.given
            if self._fast is None:
                self._fast = self._make_fast(client)
            return self._fast

    def _make_fast(self, client: Any) -> S3Store:
        # A presigned URL says how botocore addresses the bucket: endpoint, region, dual stack, path or host.
        url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": "k"}))
        options: dict[str, Any] = {
            "region": client.meta.region_name,
            "virtual_hosted_style_request": url.path == "/k",
            "skip_signature": self.settings.anonymous,
            "request_payer": self.settings.request_payer,
            # Both, because either may be in the environment.
            "endpoint": f"{url.scheme}://{url.netloc}",
            "aws_endpoint_url_s3": f"{url.scheme}://{url.netloc}",
        }
        if key := self.settings.sse.get("SSECustomerKey"):
            options |= {"server_side_encryption": "sse-c", "sse_customer_key_base64": _base64(key)}
        if not self.settings.anonymous:
            self._fast_credentials = options["credential_provider"] = ObstoreCredentials(self.session())
        return S3Store(
            self.bucket, client_options=self._client_options(url.scheme), retry_config=self._retry_config(), **options
        )

    def _client_options(self, scheme: str) -> Any:
        settings = self.settings
        options: dict[str, Any] = {
            "allow_http": scheme == "http",
            "connect_timeout": timedelta(seconds=settings.connect_timeout_seconds),
            "read_timeout": timedelta(seconds=settings.read_timeout_seconds),
            "timeout": _TIMEOUT,
        }
        bundle = self.session()._session.get_config_variable("ca_bundle")
        if bundle:
            options["root_certificate"] = Path(bundle).read_bytes()
        return options

    def _retry_config(self) -> Any:
        retries = self.settings.retries
        return {
            "max_retries": retries.attempts - 1,
            "retry_timeout": timedelta(seconds=retries.deadline_seconds),
            "backoff": {
                "init_backoff": timedelta(seconds=retries.first_wait_seconds),
                "max_backoff": timedelta(seconds=retries.max_wait_seconds),
                "base": 2,
            },
        }

    def renew_fast(self) -> bool:
        """Forget the obstore store if its credentials are not those of now; whether it was forgotten."""
        credentials = self._fast_credentials
        if credentials is None or not credentials.have_changed():
            return False
        self._fast = None
        return True

    def close(self) -> None:
        """Close the boto3 client, unless it is the caller's."""
        with self._guard():
            if self._sync is not None:
                self._sync.close()
            self._sync = self._fast = None

    async def aclose(self) -> None:
        """Close the aiobotocore client of the running event loop, and everything else."""
        if self._loops is not None:
            await self._loops.aclose()
        self.close()


def _base64(key: str | bytes) -> str:
    from base64 import b64encode

    return b64encode(key.encode() if isinstance(key, str) else key).decode()
