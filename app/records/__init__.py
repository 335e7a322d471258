"""The persistent state: databases, tables, ledgers and the feed of changes."""
