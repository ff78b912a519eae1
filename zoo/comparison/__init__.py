"""Comparison of runs: what may be compared, and its table, video, page and report."""
