"""Settings from the configuration, the environment and the command line, as typed data."""
