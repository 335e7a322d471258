"""Terminal output of the command line, and the options that its commands share."""
