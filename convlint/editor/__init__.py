"""The language server: what a check finds, shown while the model is written.

Two processes work together. ``server`` speaks with the editor and imports neither torch nor the user's code;
``workshop`` has both judges loaded and forks for every answer, as ``--watch`` does.
"""
