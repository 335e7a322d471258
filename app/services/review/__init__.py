"""The inbox and the report: what waits for a person."""
