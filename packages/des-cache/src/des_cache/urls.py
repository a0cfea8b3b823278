"""Parts of a cache's URL, checked; what is wrong is named without showing the URL, which may hold a password."""

from __future__ import annotations

import math
import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from des_format.errors import ConfigurationError

__all__ = ["CacheUrl", "split_urls"]

_SIZE = re.compile(r"([0-9]+) *(|B|KiB|MiB|GiB|TiB)", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_NEXT_URL = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")


def split_urls(text: str) -> list[str]:
    """Split a list of URLs; a comma that no scheme follows is part of its URL."""
    return _NEXT_URL.split(text.strip())


class CacheUrl:
    """One URL, whose parameters are taken one by one; `finish` refuses what is left.

    Raises:
        ConfigurationError: It cannot be split, or says a parameter twice.
    """

    def __init__(self, url: str) -> None:
        scheme, separator, _ = url.partition("://")
        if not separator:
            raise ConfigurationError("the URL of a cache has no scheme; expected SCHEME://...")
        self.scheme = scheme.lower()
        try:
            self.parts: SplitResult = urlsplit(url)
            # Not even its cause is shown: it quotes what it could not split.
            self.port = self.parts.port
        except ValueError:
            raise self.error("it is no URL; is its port a number?") from None
        pairs = parse_qsl(self.parts.query, keep_blank_values=True)
        self._parameters = dict(pairs)
        if len(pairs) != len(self._parameters):
            raise self.error("it says a parameter twice")

    def error(self, problem: str) -> ConfigurationError:
        """An error about this URL."""
        return ConfigurationError(f"{self.scheme}:// URL of a cache: {problem}")

    def text(self, name: str, default: str) -> str:
        """Take a parameter as it is."""
        return self._parameters.pop(name, default)

    def size(self, name: str) -> int | None:
        """Take a number of bytes, such as 64MiB.

        Raises:
            ConfigurationError: It is none.
        """
        if (text := self._parameters.pop(name, None)) is None:
            return None
        if (size := _SIZE.fullmatch(text)) is None:
            raise self.error(f"{name} is {text!r}, expected a number of bytes, as in 1048576 or 64MiB")
        return int(size[1]) * _UNITS[size[2].lower()]

    def count(self, name: str) -> int | None:
        """Take a number.

        Raises:
            ConfigurationError: It is none.
        """
        if (text := self._parameters.pop(name, None)) is None:
            return None
        if re.fullmatch(r"[0-9]+", text, re.ASCII) is None:
            raise self.error(f"{name} is {text!r}, expected a number")
        return int(text)

    def seconds(self, name: str) -> float | None:
        """Take a time in seconds.

        Raises:
            ConfigurationError: It is none, or not positive.
        """
        if (text := self._parameters.pop(name, None)) is None:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise self.error(f"{name} is {text!r}, expected a number of seconds above 0")
        return seconds

    def take(self, prefix: str) -> dict[str, str]:
        """Take all parameters that begin so."""
        names = [name for name in self._parameters if name.startswith(prefix)]
        return {name: self._parameters.pop(name) for name in names}

    def finish(self, *, known: str) -> None:
        """Refuse what was not taken.

        Raises:
            ConfigurationError: There is a parameter, or a fragment, that means nothing here.
        """
        if self._parameters:
            raise self.error(f"parameter {min(self._parameters)!r} means nothing here; expected {known}")
        if self.parts.fragment:
            raise self.error("`#` means nothing here; write it as %23")
