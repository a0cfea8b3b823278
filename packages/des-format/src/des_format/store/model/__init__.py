"""What a store's objects hold and what they are called. Pure."""
