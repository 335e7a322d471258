"""Retention: limits on age and size, and removal of logs, working copies and empty branches."""
