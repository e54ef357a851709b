"""Sessions, alive.  Knows the words and the contracts, and no maker by name."""
