"""Routes of people: organisations, accounts, tokens and signing in."""
