"""Runs laid side by side: what is compared, and the table, film, page and report of it."""
