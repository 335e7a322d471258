"""Pages of the files of a change: their lines, comments on them, and the review."""
