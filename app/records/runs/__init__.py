"""The ledgers of runs: their rows and timelines, pages, parked work, quarantine and totals."""
