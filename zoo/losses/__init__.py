"""Losses as plain functions, each with its paper; all compute in float32, also under autocast.

Import from the modules: `zoo.losses.adversarial`, `.feature_matching`, `.gan`, `.warping`,
`.perceptual`, `.classifiers`.
"""
