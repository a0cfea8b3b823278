"""What the service needs of a store, and how one is opened."""
