"""Bytes to values and back; nothing here reads or waits."""
