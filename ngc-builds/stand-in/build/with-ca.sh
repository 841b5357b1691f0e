#!/bin/sh
# Runs a command that uses the network. With the optional build secret `ca` (a bundle of certificates) it trusts that;
# everything it sets ends with the command.
set -eu
ca=/run/secrets/ca
if [ -s "$ca" ]; then
    export PIP_CERT="$ca" SSL_CERT_FILE="$ca" CURL_CA_BUNDLE="$ca"
    APT_CONFIG=$(mktemp)
    export APT_CONFIG
    printf 'Acquire::https::CAInfo "%s";\n' "$ca" >"$APT_CONFIG"
    "$@"
    rm -f "$APT_CONFIG"
else
    "$@"
fi
