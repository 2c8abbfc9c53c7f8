"""Ways to show a report: one function each, none of which prints where it was not told to."""
