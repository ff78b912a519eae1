"""Networks whose features are compared; none is ever downloaded."""
