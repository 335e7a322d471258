"""Approvals of starts and merges."""
