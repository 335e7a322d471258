"""What is true: tables, transactions, ledgers and the feed of changes."""
