"""The classifier of attributes, which measures what other models generate."""
