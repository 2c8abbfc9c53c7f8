"""How right plans are, as far as published measurements tell."""
