"""The server process: startup, the web application, page sockets and shutdown."""
