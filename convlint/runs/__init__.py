"""Several models, one after another or in other processes, and what is cached between runs."""
