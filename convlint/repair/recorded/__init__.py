"""Repairs models that torch.export refuses, as one recorded run."""
