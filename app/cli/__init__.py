"""The command line: a client of the API that imports neither the web nor the database."""
