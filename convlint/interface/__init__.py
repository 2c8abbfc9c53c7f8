"""Specs of the inputs and outputs of a model, as they are written on the command line."""
