"""The effect of compression and precision on a model: sizes, targets, errors, and which layers suffer."""
