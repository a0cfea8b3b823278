"""Make the gate's guards as the settings say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from des_format.errors import ConfigurationError
from limits.aio.storage import MemoryStorage, RedisStorage

from .auditing import Audit
from .credentials import Credentials
from .gate import Guards
from .jwks import KeySet
from .nonces import MemoryNonces, Nonces, RedisNonces
from .quotas import Quotas
from .signatures import SKEW_SECONDS
from .sources import Keeper, from_file, from_vault
from .tokens import TokenRules, Tokens

if TYPE_CHECKING:
    from limits.aio.storage import Storage

    from ..settings.security import SecuritySettings

__all__ = ["open_guards"]

# A signature from the future is good until its time has come and gone: twice the skew. A minute for clocks that drift.
_NONCE_SECONDS = 2 * SKEW_SECONDS + 60
_PREFIX = "des:retriever"


@asynccontextmanager
async def open_guards(settings: SecuritySettings) -> AsyncIterator[tuple[Guards, Callable[[], None]]]:
    """Make what the gate asks; gives also what reads the credentials again at once.

    Raises:
        ConfigurationError: Credentials are malformed, or something that they need is not installed.
        UnavailableError: They cannot be read.
    """
    async with AsyncExitStack() as stack:
        keeper = _keeper(settings)
        if keeper is not None:
            await keeper.read()
            stack.push_async_callback(_ended, asyncio.create_task(keeper.watch()))
        nonces, storage = await _shared(stack, settings)
        secret = settings.delete_api_key
        guards = Guards(
            keeper or Credentials,
            _tokens(settings),
            nonces,
            Quotas(storage, settings.rate_limit_per_hour),
            Audit(settings.audit),
            None if secret is None else secret.get_secret_value(),
            settings.is_authentication_required,
        )
        yield guards, keeper.read_soon if keeper is not None else lambda: None


def _keeper(settings: SecuritySettings) -> Keeper | None:
    seconds = settings.credentials_reload_seconds
    if settings.vault_addr is not None:
        token = None if settings.vault_token is None else settings.vault_token.get_secret_value()
        load = from_vault(
            settings.vault_addr,
            token=token,
            role=settings.vault_role,
            mount=settings.vault_mount,
            path=settings.vault_path,
        )
        return Keeper(load, f"{settings.vault_addr}: {settings.vault_mount}/{settings.vault_path}", seconds)
    path = settings.authorized_keys_path
    return None if path is None else Keeper(from_file(path), str(path), seconds)


def _tokens(settings: SecuritySettings) -> Tokens | None:
    if settings.jwt_issuer is None or settings.jwt_audience is None:
        return None
    rules = TokenRules(
        settings.jwt_issuer,
        settings.jwt_audience,
        tuple(settings.jwt_algorithms),
        settings.jwt_permissions_claim,
        settings.jwt_prefixes_claim,
    )
    return Tokens(rules, KeySet(settings.jwt_issuer, settings.jwt_jwks_url))


async def _shared(stack: AsyncExitStack, settings: SecuritySettings) -> tuple[Nonces, Storage]:
    """Where nonces and quotas are kept."""
    if settings.auth_redis_url is None:
        return MemoryNonces(ttl_seconds=_NONCE_SECONDS), MemoryStorage(wrap_exceptions=True)
    try:
        from redis.asyncio import Redis
    except ImportError:
        raise ConfigurationError("DES_AUTH_REDIS_URL needs `pip install 'des-retriever-http[redis]'`") from None
    url = settings.auth_redis_url.get_secret_value()
    redis: Redis = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    stack.push_async_callback(redis.aclose)
    nonces = RedisNonces(redis, ttl_seconds=_NONCE_SECONDS, prefix=f"{_PREFIX}:nonce:")
    pool = redis.connection_pool
    storage = RedisStorage(
        f"async+{url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix=f"{_PREFIX}:quota",
        connection_pool=pool,  # type: ignore[arg-type]
    )
    return nonces, storage


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
