"""Projects and the built-in tracker, in the control store."""
