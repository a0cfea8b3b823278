"""From entries to a commit."""
