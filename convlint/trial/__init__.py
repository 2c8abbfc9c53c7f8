"""A real coremltools conversion of the untrained model, complete in one pass, in a process of its own."""
