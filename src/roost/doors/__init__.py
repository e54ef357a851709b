"""HTTP: doors translate, and do nothing else."""
