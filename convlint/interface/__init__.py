"""What the inputs and outputs of a model look like, in the words of the command line."""
