"""Other converters for devices beside coremltools, each tried by running it."""
