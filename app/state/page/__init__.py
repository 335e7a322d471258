"""Building blocks of all pages: server connection, optimistic rows, pending submits, text input."""
