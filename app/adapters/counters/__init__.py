"""Windows of accepted runs kept outside the database."""
