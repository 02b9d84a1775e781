"""Mixing methods. `zoo` has one short constructor a published method; `registry` finds them by name."""
