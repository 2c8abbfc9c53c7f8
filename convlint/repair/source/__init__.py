"""Edits of the user's own source."""
