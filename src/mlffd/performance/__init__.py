"""How fast students are: what is measured, clocks and counters, comparisons of commits."""
