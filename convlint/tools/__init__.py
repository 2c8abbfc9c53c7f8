"""Tools for a checkout, which are not shipped."""
