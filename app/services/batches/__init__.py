"""Batches of runs, and bulk orders that stop or retry many runs."""
