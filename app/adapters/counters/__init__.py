"""Windows of accepted runs and batches kept outside the database."""
