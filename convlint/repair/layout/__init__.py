"""The channels-first layout for the Neural Engine."""
