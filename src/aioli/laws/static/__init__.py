"""Static mixing laws; each module is one form, `robust` fits the parametric ones."""
