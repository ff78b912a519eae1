"""Around a training: plan, preflight checks, trainer, resuming, and error messages for external failures.

`plan`, `preflight` and `resume` import no torch.
"""
