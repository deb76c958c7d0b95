"""Studies: experiments as data, the cells that they are made of, and running them."""
