"""Client state of the inbox and of reviews."""
