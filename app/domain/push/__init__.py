"""Web push (RFC 8030): addresses of devices and their keys, and the messages to them."""
