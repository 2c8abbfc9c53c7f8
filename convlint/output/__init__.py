"""Output formats of a report: one function each, which writes only to the stream that it is given."""
