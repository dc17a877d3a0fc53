"""Results against truth: numbers only, no pictures."""
