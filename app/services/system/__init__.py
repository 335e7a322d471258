"""Server-wide services: doctor, health, ownership, outbox and quarantine."""
