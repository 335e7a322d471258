"""Automatic runs: the sweep, the auto loop and AFK runs started by hand."""
