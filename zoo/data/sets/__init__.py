"""The data sets, one folder each: `config.py` (card and config, no torch) and what it builds."""
