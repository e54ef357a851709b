"""The docs, run and checked against what they speak of."""
