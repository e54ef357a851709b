"""Tests of sandboxes, with the real ones."""
