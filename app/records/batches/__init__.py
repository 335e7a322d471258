"""The ledgers of batches, their queue and bulk actions."""
