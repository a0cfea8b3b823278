"""Content codings that a client accepts (RFC 9110, section 12.5.3)."""

from __future__ import annotations

from functools import lru_cache

__all__ = ["accepts"]


@lru_cache(256)
def accepts(header: str, coding: str) -> bool:
    """Whether an Accept-Encoding names a coding, and not to refuse it; `*` is not enough."""
    for one in header.lower().split(","):
        name, *parameters = (part.strip() for part in one.split(";"))
        if name == coding:
            return not any(parameter.replace(" ", "") in _REFUSALS for parameter in parameters)
    return False


_REFUSALS = frozenset({"q=0", "q=0.0", "q=0.00", "q=0.000"})
