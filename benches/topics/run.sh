#!/bin/sh
# Measures `imgsearch topics` on the descriptions of Debian's packages, which every mirror of Debian has: documents
# labelled by their section.
#
#     benches/topics/run.sh WORK [PROGRAM]
#
# WORK is an empty folder. PROGRAM is target/release/imgsearch unless named. It needs apt and a Python with scikit-learn
# (set PYTHON to name it).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$1
program=${2:-$here/../../target/release/imgsearch}
python=${PYTHON:-python3}
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial"
work=$(cd "$work" && pwd)
if [ ! -e "$work/packages.txt" ]; then
    # Lists of its own, with descriptions, and nothing of the system's is changed.
    apt-get -q -o Dir::State="$work/state" -o Dir::Cache="$work/cache" \
        -o Dir::State::status=/dev/null -o Acquire::Languages=en update
    for kind in Packages Translation-en; do
        for list in "$work/state/lists/"*_main_*"$kind"*; do
            /usr/lib/apt/apt-helper cat-file "$list"
            echo
        done > "$work/$kind.new"
    done
    mv "$work/Translation-en.new" "$work/descriptions.txt"
    mv "$work/Packages.new" "$work/packages.txt"
fi
"$python" "$here/measure.py" "$work" "$program"
