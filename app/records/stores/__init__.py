"""The control store and the run store: routing, identity, leases, outbox, relay between servers."""
