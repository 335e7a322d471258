"""The HTTP layer of the API: security gate, audit, error responses and OpenAPI document."""
