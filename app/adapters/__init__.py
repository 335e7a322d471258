"""Where Runyard touches the outside: git, processes, forges, agents."""
