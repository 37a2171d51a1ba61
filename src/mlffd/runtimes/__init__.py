"""Ways to run a student: each turns a batch into a prediction."""
