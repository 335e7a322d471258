"""Work kept after a run has ended: parked branches and copies, resume, retry and salvage."""
