"""Many files in one answer."""
