"""Runs: accepting, planning, stopping and listing them, and reading their logs."""
