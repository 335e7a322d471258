"""The page of parked work."""
