"""Tests of the way in for the CLIs that the server runs."""
