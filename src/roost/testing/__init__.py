"""Shipped with the package: a server in process, a clock to wind by hand."""
