"""Weizmann: nine people, ten actions, in the layout in which the set is published."""
