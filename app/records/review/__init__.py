"""Open changes, visits, and the sums of reports."""
