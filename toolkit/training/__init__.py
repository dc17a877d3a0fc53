"""Training: crops on the fly, one loop for every method, exact resume."""
