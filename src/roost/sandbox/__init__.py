"""Walls around programs: one file each."""
