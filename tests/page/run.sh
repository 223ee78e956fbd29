#!/bin/sh
# Drives the page of `imgsearch serve` in Chromium: indexes the samples, starts a server, runs the tests against it.
# Takes the program to test; installs Chromium and Node.js if they are missing (Debian and Ubuntu).
set -eu
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")"

missing=""
command -v "${CHROMIUM:-/usr/bin/chromium}" >/dev/null 2>&1 || missing="$missing chromium"
command -v node >/dev/null 2>&1 || missing="$missing nodejs"
command -v npm >/dev/null 2>&1 || missing="$missing npm"
if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "please install:$missing" >&2
        exit 1
    fi
    sudo=""
    [ "$(id -u)" = 0 ] || sudo=sudo
    echo "installing:$missing" >&2
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
npm ci --silent --no-audit --no-fund

. ../server.sh
serve "$program" ../samples
samples=$link
# Files that are there twice, beside others.
mkdir -p "$work/copies/old" "$work/copies/new"
cp ../samples/*.jpg "$work/copies"
for name in cat coffee rocket; do
    cp "../samples/$name.jpg" "$work/copies/old"
done
cp ../samples/cat.jpg "$work/copies/new/cat again.jpg"
serve "$program" "$work/copies"
IMGSEARCH_URL=$samples IMGSEARCH_SAMPLES=../samples IMGSEARCH_COPIES_URL=$link \
    IMGSEARCH_SCREENSHOTS=${IMGSEARCH_SCREENSHOTS:-../../target/page} \
    node --test --test-reporter=spec run.mjs >"$work/log" 2>&1 && status=0 || status=$?
# As the other tests print it, so that whoever counts finds it.
passed=$(sed -n 's/^ℹ pass \([0-9]*\)$/\1/p' "$work/log")
failed=$(sed -n 's/^ℹ fail \([0-9]*\)$/\1/p' "$work/log")
[ "$status" -eq 0 ] || cat "$work/log"
echo "test result: page. ${passed:-0} passed; ${failed:-1} failed;"
exit "$status"
