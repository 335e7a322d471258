"""Rules and tables about projects."""
