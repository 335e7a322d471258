"""Pages about the server: settings, health, quota, notifications, guide, plain page."""
