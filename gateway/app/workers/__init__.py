"""A gateway of several processes: one listens and hands connections over, the others serve."""
