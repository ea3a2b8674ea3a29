"""Tables, plots and pages from runs."""
