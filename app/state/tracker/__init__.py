"""View models of issues: list, filter and editor."""
