"""When the entries of tests were created."""

from datetime import UTC, datetime

MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)
