"""Coding-agent CLIs: one file each."""
