"""What compression and precision do to a model: sizes, targets, errors, and which layers pay."""
