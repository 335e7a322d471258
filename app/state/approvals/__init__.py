"""Approvals as pages show them."""
