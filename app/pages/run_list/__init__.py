"""Pages about runs: the list, one run with log and diff, and the form that starts one."""
