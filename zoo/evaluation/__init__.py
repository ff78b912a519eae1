"""Metrics, and the protocols under which they are computed. Metrics contain no model code."""
