"""People with their pose as estimated by OpenPose or DensePose."""
