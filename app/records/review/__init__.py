"""What the inbox, reviews and reports read and keep."""
