"""What an argument must be."""

from __future__ import annotations

from des_format.errors import ConfigurationError

__all__ = ["check_seconds", "check_size"]


def check_seconds(name: str, seconds: float | None) -> None:
    """Refuse a time that is neither None nor positive.

    Raises:
        ConfigurationError: It is not.
    """
    if seconds is not None and not seconds > 0:
        raise ConfigurationError(f"{name} is {seconds} seconds, expected more than 0, or None")


def check_size(name: str, size: int | None) -> None:
    """Refuse a bound that is negative.

    Raises:
        ConfigurationError: It is.
    """
    if size is not None and size < 0:
        raise ConfigurationError(f"{name} is {size}, expected 0 or more")
