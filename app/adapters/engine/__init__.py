"""The engine of this machine: starts, watches and kills agents; reads their logs and records."""
