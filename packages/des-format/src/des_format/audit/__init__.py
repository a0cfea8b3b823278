"""Check an archive: every byte of it, or its structure and a sample of its entries."""

from .report import Problem, VerifyReport
from .run import audit

__all__ = ["Problem", "VerifyReport", "audit"]
