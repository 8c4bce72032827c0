"""Permutations of hidden units, and the methods that find them."""
