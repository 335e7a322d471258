"""The figures of speed and memory: `make bench`."""
