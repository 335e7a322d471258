"""One SQLite or PostgreSQL database: engines, transactions, migrations and integrity checks."""
