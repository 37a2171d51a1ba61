"""The history of speed and accuracy as pages that open anywhere: asv's, and one of our own."""
