#!/bin/bash
# As NVIDIA's: a banner on stdout, then the arguments, or a shell without any.
echo
echo "=============================="
echo "== Dynamo stand-in, CPU only =="
echo "=============================="
echo
echo "Stands for ${STAND_IN_FOR:-no image}. No GPU code, no model: for tests only."
echo
if [ $# -eq 0 ]; then
    exec /bin/bash
fi
exec "$@"
