"""Which two frames make a positive pair."""
