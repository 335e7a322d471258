"""The screens: one file each, drawn from `app.state`."""
