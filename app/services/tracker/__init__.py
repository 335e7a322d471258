"""Issues and change requests: reading, editing, merging and closing them."""
