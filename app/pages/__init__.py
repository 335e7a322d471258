"""The screens: one file each, drawn from state."""
