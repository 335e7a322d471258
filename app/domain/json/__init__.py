"""JSON: the types of parsed values."""
