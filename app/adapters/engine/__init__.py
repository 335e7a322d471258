"""Where runs execute: this machine."""
