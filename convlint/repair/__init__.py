"""Changing a captured program so that coremltools converts it, and proving each change."""
