"""What happens around a training: plan, preflight, trainer, resuming, and failures explained.

`plan`, `preflight` and `resume` import no torch.
"""
