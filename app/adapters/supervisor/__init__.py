"""The small program that runs one agent; standard library only, so that it starts fast."""
