"""The command line: an API client that loads neither the web layer nor the database."""
