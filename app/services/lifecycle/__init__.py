"""Lifecycle of a run: launch, stall monitoring, reaping, delivery, finalizing and recovery."""
