"""What stands behind the verbs of tasks.py."""
