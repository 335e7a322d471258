"""Rules of the inbox, reviews and reports."""
