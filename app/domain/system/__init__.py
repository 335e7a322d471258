"""Rules and values of the server itself."""
