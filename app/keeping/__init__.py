"""Backup and restore: one file that a Runyard can be made of again."""
