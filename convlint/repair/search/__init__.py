"""The search for changes that make a program convert."""
