"""What runs inside the revision that is measured.

Two commits are only comparable if both are asked the same. So this package is always of the
revision that *measures*, while the `mlffd` that it finds is of the revision that *is measured*,
which may be older: it is put on the path of that revision's Python as a package of its own, called
`harness`, imports itself relatively, and of `mlffd` uses only what every revision has, where it
needs it.
"""
