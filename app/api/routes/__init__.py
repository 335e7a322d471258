"""The route functions of the API, one module per resource."""
