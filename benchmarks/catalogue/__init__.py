"""Measures every architecture that can be built without weights, and writes the catalogue of convlint."""
