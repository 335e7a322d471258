"""The REST API: its HTTP layer, routes, schemas, client, live events and script-free pages."""
