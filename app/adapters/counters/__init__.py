"""Counters in Valkey or Redis: windows of accepted runs and batches, sets of active runs."""
