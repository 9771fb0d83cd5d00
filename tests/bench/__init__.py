"""`make bench`: how long this program takes beside others that do the same; no part of the tests.

`parts.py` has what is measured: `rendering.py` without a cluster, `deploying.py` on a sandbox. The
figures are kept in `figures.json`, and `page.py` makes docs/performance.md of them.
"""
