"""Shared foundation of all pages: session, frame, theme, routes and NiceGUI patches."""
