"""What Core ML and coremltools are: targets, releases, dtypes, and which ops have a converter."""
