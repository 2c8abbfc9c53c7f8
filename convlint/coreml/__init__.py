"""Facts about Core ML and coremltools: targets, releases, dtypes, and which ops have a converter."""
