"""Runyard: a control room for unattended coding-agent runs on your own git repositories."""

__version__ = "0.1.0"
