"""The async Python client of the REST API."""
