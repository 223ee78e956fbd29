# A server for tests: sourced, not run. `serve PROGRAM` indexes the samples and starts the program, which ends with
# the script; `$link` is its address, without the slash at the end, and `$work` a folder for other files.

work=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

serve() {
    IMGSEARCH_INDEX=$work/index
    export IMGSEARCH_INDEX
    "$1" --quiet index ../samples
    "$1" --quiet serve --port 0 >"$work/link" &
    server=$!
    tries=0
    while [ ! -s "$work/link" ] && [ "$tries" -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    link=$(cat "$work/link")
    link=${link%/}
}
