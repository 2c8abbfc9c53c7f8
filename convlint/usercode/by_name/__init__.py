"""Models of three libraries by their names there: ``timm:NAME``, ``torchvision:NAME`` and ``hf:TYPE``."""
