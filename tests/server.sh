# Servers for tests: sourced, not run. `serve PROGRAM FOLDER` indexes a folder and starts the program, which ends with
# the script; `$link` is its address, without the slash at the end, and `$work` a folder for other files.

work=$(mktemp -d)
servers=
number=0
end() {
    for server in $servers; do
        kill "$server" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap end EXIT

serve() {
    number=$((number + 1))
    IMGSEARCH_INDEX=$work/index-$number
    export IMGSEARCH_INDEX
    "$1" --quiet index "$2"
    "$1" --quiet serve --port 0 >"$work/link-$number" &
    servers="$servers $!"
    tries=0
    while [ ! -s "$work/link-$number" ] && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    link=$(cat "$work/link-$number")
    link=${link%/}
}
