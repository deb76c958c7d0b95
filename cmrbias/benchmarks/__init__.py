"""Comparisons with plain torch, a module a claim: each checks that all ways agree before it times them."""
