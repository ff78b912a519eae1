"""Optical flow in the convention of `zoo.types`: warping, occlusion, colour coding, estimators.

Import from the modules: `zoo.flow.warp`, `.occlusion`, `.colour`, `.estimators`. This file imports no torch, so that
configs can check the name of an estimator.
"""

ESTIMATORS = ("exact", "dis", "raft_small", "raft_large")
"""Names of the estimators that `zoo.flow.estimators.build_estimator` builds."""
