"""What a field of settings may hold."""
