"""From `(uid, created_at)` to an entry."""
