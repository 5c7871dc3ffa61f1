"""Signals: what is seen of each attempt, and what follows from many of them."""
