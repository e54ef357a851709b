"""Couriers, and those whom they reach."""
