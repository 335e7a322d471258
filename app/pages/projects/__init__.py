"""Pages about projects: all of them, one project with its tabs, settings and forms."""
