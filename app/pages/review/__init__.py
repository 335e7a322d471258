"""Pages of the inbox and of reviews."""
