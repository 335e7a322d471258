"""Pages and forms that work without scripts."""
