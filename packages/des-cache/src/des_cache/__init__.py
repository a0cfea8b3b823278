"""Index caches for stores of DES archives."""
