"""Other ways onto a device beside coremltools, each tried by running it."""
