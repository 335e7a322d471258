"""People and their sign-ins, the audit, notifications and usage limits."""
