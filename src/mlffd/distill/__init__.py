"""Making students: molecules, teacher labels, training."""
