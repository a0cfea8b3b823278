"""Ports: what the store asks of the world, as protocols; and opening their adapters by URL."""
