"""Offers for a finding, beside the replacements of its rule."""
