"""Tests of the counter, over the engine's fakes."""
