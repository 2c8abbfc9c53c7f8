"""What was measured of many architectures: which convert, where they run, and which one to take instead."""
