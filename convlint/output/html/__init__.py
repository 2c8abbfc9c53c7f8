"""The page and the picture."""
