"""Pages of the built-in tracker: issues, comments and change requests."""
