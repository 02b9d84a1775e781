"""Mixtures in the formats of other trainers, one file a format."""
