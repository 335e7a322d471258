"""Delivery of notifications to people, through apprise."""
