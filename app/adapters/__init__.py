"""Adapters to the outside: git, processes, sandboxes, agents, forges, counters, notifications."""
