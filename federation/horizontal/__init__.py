"""Sums of protected updates over a roster of partners, and their Flower form.

`member` keeps the rules that make the aggregation safe at a partner, `coordinator` leads one sum without seeing any
part of it, `strategy` and `mod` are the two of them as a Flower Strategy and a Flower client mod.
"""
