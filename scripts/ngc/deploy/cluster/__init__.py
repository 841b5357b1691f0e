"""A graph on a cluster, through kubectl: what is there, what is applied, and whether it serves."""
