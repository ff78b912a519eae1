"""Metrics and the protocols that their keys carry. Metrics hold no model code."""
