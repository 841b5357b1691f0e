"""Two images side by side, like for like.

sides         what is known of each: from the engine, or from two requests to its registry
differences   layers, sizes, download and configuration of the two, as plain data
files         the files of a local image, by what is in them
inside        packages, components, files of two local images, and what of the first the second lacks
page, plot    the same for people: a page, and a picture of the layers
"""
