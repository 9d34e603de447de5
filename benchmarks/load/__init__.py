"""Bidders under load: a generator that can be believed, and what it says of kinbid and others.

Nothing is imported here: generators and the bare handler are processes of modules in this package,
and should hold nothing that they do not use.
"""
