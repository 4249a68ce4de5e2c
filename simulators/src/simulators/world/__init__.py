"""A seeded business month, its player and the independent comparison of both books."""
