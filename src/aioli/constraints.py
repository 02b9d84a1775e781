"""Caps, floors, fixed proportions and budgets left; exact projections onto them."""
