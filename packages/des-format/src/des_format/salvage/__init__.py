"""Rebuild an archive from what is left of one: every entry describes itself, so DATA alone is enough."""

from .run import SalvageReport, salvage_archive

__all__ = ["SalvageReport", "salvage_archive"]
