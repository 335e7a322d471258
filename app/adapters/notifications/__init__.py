"""Who carries messages to people: apprise."""
