"""One check: capture, rules, trial, and the report that they come to."""
