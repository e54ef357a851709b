"""Attacks on a real server, each of which once went through or well might."""
