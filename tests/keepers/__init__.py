"""Tests of the keepers."""
