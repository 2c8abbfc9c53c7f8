"""Comparisons of numbers: of a converted program with PyTorch, and of a changed model with the original."""
