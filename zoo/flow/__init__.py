"""Optical flow in the zoo's convention (`zoo.types`): warp, occlusion, colours, estimators.

Import from the modules: `zoo.flow.warp`, `.occlusion`, `.colour`, `.estimators`. This file imports no torch,
so that a config can check a name.
"""

ESTIMATORS = ("exact", "dis", "raft_small", "raft_large")
"""What `zoo.flow.estimators.build_estimator` builds."""
