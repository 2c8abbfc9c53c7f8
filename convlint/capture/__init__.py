"""From a model to a ``torch.fx`` graph of ATen calls, without its weights."""
