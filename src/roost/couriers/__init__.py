"""Couriers: how a word reaches somebody who has no page open."""
