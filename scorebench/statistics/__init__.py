"""Metrics, intervals, paired tests and majority votes. No input or output."""
