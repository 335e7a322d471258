"""Projects: registration and settings, overview, alerts, statistics and the demo project."""
