"""Chosen parts of an image, read from its layers as a stream: what is not asked for never reaches the disk.

parts      what to take: components of image.yaml and paths     sources    where from: registry, engine, archive, layout
blobs      one blob as a checked stream                         inflate    gzip and zstd, bounded
layers     the members of a layer's tar                         index      what a layer holds, kept between runs
overlay    the image's tree out of its layers                   reading    threads over layers; content into the stage
placing    the tree on disk                                     inventory  what was taken, and whether it still matches
work       plan, do, report
"""
