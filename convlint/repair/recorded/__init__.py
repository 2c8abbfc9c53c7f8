"""Models that torch.export refuses: repaired as one recorded run."""
