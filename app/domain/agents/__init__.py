"""Agents: their prompts, the events and reports of their output, and signs of life."""
