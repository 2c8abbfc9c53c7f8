"""The rule database: its files read, and asked about everything that a capture shows."""
