"""Scripted agents, and what tests need to run them."""
