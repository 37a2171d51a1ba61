"""Planted regressions: every check is shown to fail when it should, and how little it can see."""
