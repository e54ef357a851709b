"""Tests of the engine, over fakes that keep the makers' contracts."""
