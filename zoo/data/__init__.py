"""Clips: data sets, decoding, and the one data module."""
