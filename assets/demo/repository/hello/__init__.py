"""A very small package, for watching an agent work."""


def greet() -> str:
    """Say hello."""
    return "Hello!"
