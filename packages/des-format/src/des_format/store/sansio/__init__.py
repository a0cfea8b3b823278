"""What store logic asks of the outside world, and what runs it."""
