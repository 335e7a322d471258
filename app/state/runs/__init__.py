"""View models of runs: board, form, record, timeline, logs and retries."""
