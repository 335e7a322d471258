"""Trackers behind the forge port; so far only the built-in one."""
