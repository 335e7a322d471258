"""Limits on runs: quotas per person, active runs per repository, usage limits of accounts."""
