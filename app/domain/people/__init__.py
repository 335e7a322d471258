"""People: roles, scopes of tokens, passwords and waiting after wrong ones."""
