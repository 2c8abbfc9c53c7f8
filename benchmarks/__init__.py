"""Measurements of convlint against the real coremltools."""
