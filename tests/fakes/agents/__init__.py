"""Scripted agents, and helpers to run them."""
