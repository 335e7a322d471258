"""Notifications to people: composing, sending, and the state of their receivers."""
