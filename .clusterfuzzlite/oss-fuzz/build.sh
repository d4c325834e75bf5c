#!/bin/bash -eu
# As the tree itself says.
exec "$SRC/strongroom/.clusterfuzzlite/build.sh"
