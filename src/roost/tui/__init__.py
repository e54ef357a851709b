"""The terminal UI: a reader of the log, and a caller of the same doors as everybody else."""
