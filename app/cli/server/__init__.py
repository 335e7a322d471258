"""Commands that start a server or work without one, and the temporary server of the demo."""
