"""View models of parked work, doctor and quota."""
