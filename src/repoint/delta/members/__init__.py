"""Files that hold other files, each compressed for itself: wheels, jars, .gz, and archives of ELF.

`finding` lists what a file holds, `rebuilding` says which compressed members can be made again byte
for byte, `pairing` puts old members beside new ones, and `codec` diffs what is inside. `matching`,
`trees` and `deflating` are zlib's compression once more, for devices whose zlib is another.
"""
