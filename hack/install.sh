#!/bin/sh
# Makes the virtual environment and installs into it: `run`, what `make run` needs; `dev`, all that `make check` needs.
# Usage: hack/install.sh run|dev VENV [PYTHON]
# Looks for a Python of 3.11 or later before it makes anything, and takes back what it made where pip fails.
set -eu
what=$1
venv=$2
given=${3:-}

say() { echo "make: $*" >&2; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
version_of() { "$1" -c 'import sys; print(sys.version.split()[0])' 2>/dev/null || echo "cannot be run"; }

# Developers keep the Python that they chose; whoever runs this for the first time gets the newest that is known to work.
case $what in
dev) candidates="python3 python3.13 python3.12 python3.11" ;;
*) candidates="python3.13 python3.12 python3.11 python3.14 python3" ;;
esac

find_python() {
    for candidate in ${given:-$candidates}; do
        if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    if [ -n "$given" ]; then
        say "Python 3.11 or later is needed, and PYTHON=$given is none: $(version_of "$given")."
    else
        say "Python 3.11 or later is needed, and only python3 $(version_of python3) is found: install one, or name it," \
            "as in: make PYTHON=/path/to/python3.12 run"
    fi
    return 1
}

made=
give_up() {
    [ -z "$made" ] || rm -rf "$venv"
    say "$*"
    exit 1
}

pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "$@"
}

if [ ! -x "$venv/bin/python" ] || ! new_enough "$venv/bin/python"; then
    python=$(find_python)
    rm -rf "$venv"
    say "making $venv with Python $(version_of "$python")"
    made=yes
    "$python" -m venv "$venv" || give_up "$python cannot make virtual environments: install its venv package."
fi

case $what in
run) lock=sandbox/requirements.lock ;;
dev) lock=requirements-dev.lock ;;
esac
say "installing $(grep -c '^[a-z0-9].*==' "$lock") packages into $venv (once, about a minute)"
pip_install --progress-bar on --require-hashes -r "$lock" || give_up "pip could not install $lock: see above."
case $what in
run) "$venv/bin/python" hack/link_checkout.py . sandbox ;;
dev) pip_install --quiet --no-deps --no-build-isolation --editable . --editable ./sandbox || give_up "pip failed." ;;
esac
