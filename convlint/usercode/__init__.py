"""The user's own code: found, imported, given its arguments, and pointed at by line."""
