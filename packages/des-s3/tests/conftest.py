"""A server, a bucket, and stores in it."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from des_s3 import RetryPolicy, S3ObjectStore
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from .proxy import Proxy

QUICK = RetryPolicy(attempts=4, deadline_seconds=20.0, first_wait_seconds=0.01, max_wait_seconds=0.02)


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """Credentials for everyone, and nothing from the machine that the tests run on."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def server(environment: None) -> Iterator[tuple[str, int]]:
    moto = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def serve(environ: Any, start_response: Any) -> Any:
        # It looks whether a condition holds and writes in two steps, between which another thread may write.
        with lock:
            return moto(environ, start_response)

    # It writes a line for every request.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server("127.0.0.1", 0, serve, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield "127.0.0.1", server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def endpoint_url(server: tuple[str, int]) -> str:
    return f"http://{server[0]}:{server[1]}"


@pytest.fixture(scope="session")
def session(environment: None) -> boto3.Session:
    """One session for all, because it takes a while to read the description of S3."""
    return boto3.Session()


@pytest.fixture(scope="session")
def client(endpoint_url: str, session: boto3.Session) -> Iterator[Any]:
    """A boto3 client that looks behind the stores' backs."""
    config = Config(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    client = session.client("s3", endpoint_url=endpoint_url, config=config)
    yield client
    client.close()


@pytest.fixture(scope="session")
def bucket(client: Any) -> str:
    client.create_bucket(Bucket="tests")
    return "tests"


@pytest.fixture
def prefix() -> str:
    return secrets.token_hex(6)


@pytest.fixture
def proxy(server: tuple[str, int]) -> Iterator[Proxy]:
    proxy = Proxy(server)
    yield proxy
    proxy.close()


@pytest.fixture
def make_store(
    bucket: str, endpoint_url: str, prefix: str, session: boto3.Session
) -> Iterator[Callable[..., S3ObjectStore]]:
    """Make stores of one prefix; arguments replace the usual ones."""
    made = []

    def make(**arguments: Any) -> S3ObjectStore:
        usual = {"endpoint_url": endpoint_url, "retries": QUICK, "session": session}
        store = S3ObjectStore(bucket, prefix, **usual | arguments)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()
