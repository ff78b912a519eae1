"""Weizmann: nine people, ten actions, in the published layout."""
