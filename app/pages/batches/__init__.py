"""The pages of batches: the list, one batch, and their wording."""
