"""Files of this repository moved to another release, in place: what is not changed stays as it stands, comments included.

source    the text of a YAML file with the places of its values, and edits of it
words     a command line in such a text
configs   configs/: images, and what releases.yaml says that moved
table     the Dockerfile's base and image.yaml
"""
