"""Tensors carried in another form: complex numbers, ranks above 5, single numbers."""
