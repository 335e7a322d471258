"""Server-wide services: accounts, audit, doctor, health, ownership, outbox and quarantine."""
