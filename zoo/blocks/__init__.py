"""Network layers shared by several models."""
