"""Comparisons behind the claims about speed: each checks that all ways agree before it times them."""
