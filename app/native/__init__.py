"""The desktop window: a separate process that shows the running server's pages.

`window` runs in the process that opens it, `frame` inside the new one, which loads no server code.
"""
