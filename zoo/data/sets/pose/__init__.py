"""People who move, with their pose as OpenPose or DensePose estimated it."""
