"""The proof of rules by their own examples."""
