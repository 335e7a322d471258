"""Pages of people: accounts, tokens, the organisation, and the audit."""
