"""What every adapter of a port promises, as test classes; needs the extra `testing`.

An adapter's tests subclass a contract and override its fixture:

    class TestMyObjectStore(ObjectStoreContract):
        @pytest.fixture
        def store(self, tmp_path: Path) -> MyObjectStore:
            return MyObjectStore(tmp_path)

Contracts of asynchronous ports have coroutine tests, for pytest-asyncio in its mode `auto`.
"""

import pytest

# Before the imports: assertions are rewritten when a module is loaded.
pytest.register_assert_rewrite(
    *(f"{__name__}.{name}" for name in ("assembling", "bridge", "caches", "metadata", "objects"))
)

from .assembling import AssemblesContract  # noqa: E402
from .bridge import SyncObjectStore  # noqa: E402
from .caches import (  # noqa: E402
    AsyncExpiresContract,
    AsyncIndexCacheContract,
    ExpiresContract,
    IndexCacheContract,
)
from .metadata import ClaimsContract, ContainersContract, LeasesContract  # noqa: E402
from .objects import AsyncObjectStoreContract, ObjectStoreContract  # noqa: E402

__all__ = [
    "AssemblesContract",
    "AsyncExpiresContract",
    "AsyncIndexCacheContract",
    "AsyncObjectStoreContract",
    "ClaimsContract",
    "ContainersContract",
    "ExpiresContract",
    "IndexCacheContract",
    "LeasesContract",
    "ObjectStoreContract",
    "SyncObjectStore",
]
