"""What one person sees: reactive stores over the API, without any user interface."""
