"""Losses as plain functions, each with its source; all compute in float32, even under autocast.

Import from the modules: `zoo.losses.adversarial`, `.feature_matching`, `.gan`, `.warping`,
`.perceptual`, `.classifiers`.
"""
