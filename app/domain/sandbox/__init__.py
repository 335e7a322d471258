"""Sandboxes: levels and limits, network rules, and the requests that the proxy accepts."""
