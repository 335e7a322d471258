"""Machine-wide services from the kernel: file locks, wake-ups between servers, clock changes."""
