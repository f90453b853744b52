"""RadStream against the floor, the prototype and other serving frameworks, on the same work."""
