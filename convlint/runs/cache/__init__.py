"""Reports of earlier checks, and everything that they depend on."""
