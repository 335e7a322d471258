"""State of the pages of people."""
