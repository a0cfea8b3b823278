"""How many requests a principal may make."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

from limits import RateLimitItemPerHour
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from ..http.problems import Problem
from .principals import ANONYMOUS, Principal

if TYPE_CHECKING:
    from limits.aio.storage import Storage

__all__ = ["Quotas"]

NOT_COUNTED = "request_not_counted"

log = logging.getLogger(__name__)


class Quotas:
    """Counts requests of principals, in an hour that slides.

    What cannot be counted is let through: a quota protects from load, and the service has limits of its own for that.

    Args:
        storage: Where it counts; made with `wrap_exceptions`.
        per_hour: For principals without a number of their own; None for no limit.
    """

    def __init__(self, storage: Storage, per_hour: int | None) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._per_hour = per_hour

    async def charge(self, principal: Principal, cost: int = 1) -> None:
        """Count a request, or as many as it stands for.

        Raises:
            Problem: 429, there were too many in the last hour.
        """
        count = self._per_hour if principal.requests_per_hour is None else principal.requests_per_hour
        # All who show no credentials would share one quota, which any of them could use up.
        if count is None or not cost or principal is ANONYMOUS:
            return
        if cost > count:
            raise Problem(
                429, "rate_limited", f"Rate limit exceeded: {cost} requests at once, and {count} an hour are allowed"
            )
        limit = RateLimitItemPerHour(count, namespace="des")
        try:
            if await self._limiter.hit(limit, principal.id, cost=cost):
                return
            reset_at, _remaining = await self._limiter.get_window_stats(limit, principal.id)
        except StorageError as error:
            log.warning(NOT_COUNTED, extra={"error": str(error.storage_error)})
            return
        seconds = max(1, math.ceil(reset_at - time.time()))
        raise Problem(
            429,
            "rate_limited",
            f"Rate limit exceeded: {count} requests an hour",
            headers={"Retry-After": str(seconds)},
        )
