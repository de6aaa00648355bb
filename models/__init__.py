"""Network definitions, weights and model cards."""
