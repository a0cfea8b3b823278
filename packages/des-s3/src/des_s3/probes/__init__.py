"""Ask a service what it can do, by trying it on objects below a prefix of the probe's own."""

from .running import probe

__all__ = ["probe"]
