"""Where each op of a model would run on an Apple chip, what that costs, and which line is to blame."""
