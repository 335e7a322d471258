"""The door: the REST API, its refusals and its sign-in."""
