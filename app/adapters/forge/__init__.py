"""Trackers behind one port: the built-in one now, others beside it."""
