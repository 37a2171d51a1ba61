"""Structures, batches, neighbour lists and data sets."""
