"""A very small package, for looking on while an agent works."""


def greet() -> str:
    """Say hello."""
    return "Hello!"
