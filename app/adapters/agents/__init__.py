"""Agent presets: how each agent's command line is run unattended, and how its output is read."""
