"""Shipped tests: what methods and samplers must satisfy, and closed-form worlds to try them in."""
