"""Text for people and terminals: control sequences, durations, commands."""
