"""Tests of the package as others install it; part of `make test`."""
