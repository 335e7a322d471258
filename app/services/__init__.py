"""What may be done: accepting, launching, reaping, delivering."""
