"""LLM APIs behind `ports.Provider`, one wire format a file.

A new vendor of a known format is a line in `core/vendors.py`; a new format is a file here and a case
in `dialects.dialect`.
"""
