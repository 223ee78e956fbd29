# What the scripts that make packages share. To be read by a shell in the folder of the repository.

# The version of the workspace.
version() { sed -n '/^\[workspace.package\]/,/^version/s/^version = "\(.*\)"/\1/p' Cargo.toml; }

# Where packages are made, below the build folder.
packages_folder() {
    mkdir -p "${CARGO_TARGET_DIR:-target}/packages"
    (cd "${CARGO_TARGET_DIR:-target}/packages" && pwd)
}

# use_build_tools FOLDER: puts maturin and zig, the same checked ones for everybody, into FOLDER and on the path.
use_build_tools() {
    if ! cmp -s python/requirements-build.txt "$1/installed.txt" || ! "$1/bin/python" -c '' 2>/dev/null; then
        rm -rf "$1"
        (cd / && python3 -m venv "$1")
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: --no-deps \
            -r python/requirements-build.txt
        cp python/requirements-build.txt "$1/installed.txt"
    fi
    PATH="$1/bin:$PATH"
}

# zig_linker FILE: writes a linker that binds functions to the versions that glibc 2.28 has, and fails if one is missing.
zig_linker() {
    # The linker calls the zig of the same environment.
    printf '#!/bin/sh\nexec maturin zig cc -- -fno-sanitize=all -target %s-linux-gnu.2.28 "$@"\n' "$(uname -m)" >"$1"
    chmod +x "$1"
}

# build_program: builds the program for glibc 2.28 and newer. Prints its path.
build_program() {
    (
        folder=$(packages_folder)
        use_build_tools "$folder/tools"
        zig_linker "$folder/zig-linker"
        cargo rustc --release --locked --quiet --bin imgsearch -- -C linker="$folder/zig-linker" -C strip=symbols
    ) >&2
    cp "${CARGO_TARGET_DIR:-target}/release/imgsearch" "$(packages_folder)/imgsearch"
    printf '%s\n' "$(packages_folder)/imgsearch"
}

# lay_out PROGRAM PREFIX UNITS ZSH PATH: puts the program and what belongs to it below PREFIX; UNITS and ZSH are the folders
# for units of systemd and completions of zsh there, PATH is where systemd will find the program.
lay_out() {
    mkdir -p "$2/bin" "$2/share/doc/imgsearch" "$2/share/man" "$2/share/bash-completion/completions" \
        "$2/share/fish/vendor_completions.d" "$2/$3" "$2/$4"
    install -m 755 "$1" "$2/bin/imgsearch"
    "$1" man --output "$2/share/man/man1" 2>/dev/null
    "$1" completions bash >"$2/share/bash-completion/completions/imgsearch"
    "$1" completions fish >"$2/share/fish/vendor_completions.d/imgsearch.fish"
    "$1" completions zsh >"$2/$4/_imgsearch"
    for unit in imgsearch imgsearch-watch; do
        sed "s|/usr/bin/imgsearch|$5|" "packages/$unit.service" >"$2/$3/$unit.service"
    done
    python3 packages/third_party.py "$2/share/doc/imgsearch/THIRD-PARTY-LICENSES"
    chmod -R u=rwX,go=rX "$2"
}

# The time of the last commit, so that the same commit makes the same package.
commit_time() { git log -1 --format=%ct 2>/dev/null || date +%s; }
