"""Use cases of the control plane, from accepting a run to delivering its commits."""
