"""Agent presets: how each command line is run unattended."""
