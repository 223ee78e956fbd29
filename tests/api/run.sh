#!/bin/sh
# Asks `imgsearch serve` everything that its OpenAPI document allows and much that it does not, with Schemathesis: no
# answer may be a server error, or differ from what the document says. Takes the program to test.
set -eu
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")"
tools=${CARGO_TARGET_DIR:-../../target}/api
# In a folder of its own: nothing of the system changes, and no virtual environment is needed.
if ! cmp -s requirements.txt "$tools/requirements.txt"; then
    rm -rf "$tools"
    mkdir -p "$tools"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --root-user-action ignore --target "$tools" \
        -r requirements.txt
    cp requirements.txt "$tools"
fi

. ../server.sh
serve "$program" ../samples
cd "$work"
tools=$(cd - >/dev/null && cd "$tools" && pwd)
PYTHONPATH=$tools python3 -m schemathesis.cli run "$link/api/v1/openapi.json" -H 'X-Imgsearch: 1' \
    --checks not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance \
    --phases coverage,fuzzing --max-examples 25 --seed 1 >log 2>&1 && status=0 || status=$?
[ "$status" -eq 0 ] || cat log
sed -n 's/^ *\([0-9]* generated, [0-9]* passed.*\)/\1/p' log
tested=$(sed -n 's/^ *Tested: \([0-9]*\)$/\1/p' log)
[ "$status" -eq 0 ] && failed=0 || failed=1
echo "test result: api. ${tested:-0} passed; $failed failed;"
exit "$status"
