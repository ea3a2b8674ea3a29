"""Processes that run a candidate program, confined by the kernel. Imports the standard library alone."""
