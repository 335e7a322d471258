"""Git: mirrors, working copies, pushes, diffs and the checks on what agents commit."""
