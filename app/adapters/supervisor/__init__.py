"""The small program that runs one agent; without third-party imports, so that it starts fast."""
