"""Feature networks, whose features of real and generated videos are compared. None is ever downloaded."""
