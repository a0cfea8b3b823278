"""HTTP service over a store of DES archives: any entry with one storage request."""

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "create_app"]
