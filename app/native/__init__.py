"""The desktop window: a process of its own that shows the running server's pages.

`window` is the side of whoever opens it, `frame` what runs inside. Nothing of the server is loaded.
"""
