"""Compaction, expiry, garbage, verification, rebuilding, statistics: what an operator runs."""
