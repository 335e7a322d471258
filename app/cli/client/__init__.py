"""The command line's API client: connection, live events, running server, completion."""
