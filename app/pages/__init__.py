"""The pages: a folder for each capability, drawn from `app.state`."""
