#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prepares a Debian-like machine and a local .venv:  bash tools/setup.sh EXTRA[,EXTRA]
# Safe to run again: what is there already is not installed twice.
set -euo pipefail
cd -P "$(dirname "$0")/.."
extras=${1:?usage: tools/setup.sh EXTRA[,EXTRA], e.g. train,dev}

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 3
}

# --- system packages: cross compiler, C library for it, build tools, emulator -------------------------
packages=()
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || packages+=("$2")
}
need gcc gcc
need arm-none-eabi-gcc gcc-arm-none-eabi
need cmake cmake
need ninja ninja-build
need qemu-system-arm qemu-system-arm
# Debian's gcc only recommends the C library's headers.
gcc -E - >/dev/null 2>&1 <<<'#include <stdio.h>' || packages+=(libc6-dev)
# Without the C library the compiler prints the bare file name instead of a path.
case "$(arm-none-eabi-gcc -print-file-name=nano.specs 2>/dev/null || true)" in
*/*) ;;
*) packages+=(libnewlib-arm-none-eabi) ;;
esac
# The tests build the C with a second compiler, take the Arduino sketch to a core that this system has, and run
# it; they see the real flash tools take the command lines.
case ",$extras," in
*,dev,*)
    need clang clang
    need avr-gcc gcc-avr
    need qemu-system-avr qemu-system-misc
    avr-gcc -mmcu=atmega2560 -E - >/dev/null 2>&1 <<<'#include <avr/io.h>' || packages+=(avr-libc)
    [ -d /usr/share/arduino/hardware/arduino/avr/cores ] || packages+=(arduino-core-avr)
    need openocd openocd
    need st-flash stlink-tools
    need dfu-util dfu-util
    need bossac bossa-cli
    ;;
esac

# --- a Python that TensorFlow has wheels for -----------------------------------------------------------
python=
for candidate in python3.11 python3.12 python3.13 python3.10 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))'; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "no Python 3.10 to 3.13 found; install one, e.g.: apt-get install python3.11 python3.11-venv"
# Debian splits venv and pip's bootstrap out of the interpreter.
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    packages+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")

install_packages() {
    [ "${#packages[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        fail "missing: ${packages[*]} (Debian package names); install them with this system's package manager"
    by_hand="run as root, then start again: apt-get update && apt-get install -y ${packages[*]}"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "$by_hand"
        as_root=(sudo)
    fi
    printf 'setup: installing %s\n' "${packages[*]}" >&2
    "${as_root[@]}" apt-get update -q >/dev/null || fail "$by_hand"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${packages[@]}" >/dev/null || fail "$by_hand"
}
install_packages
# What the sanitizers of Debian's clang link to is a package with the compiler's version in its name.
case ",$extras," in
*,dev,*)
    packages=()
    if ! clang -fsanitize=address,undefined -x c -o /dev/null - >/dev/null 2>&1 <<<'int main(void) { return 0; }'; then
        version=$(clang -dumpversion) || fail "clang is installed and does not run"
        packages=("libclang-rt-${version%%.*}-dev")
    fi
    install_packages
    ;;
esac

# --- Python packages, into .venv; again only when pyproject.toml or the extras change -------------------
unfit=
if [ ! -e .venv ] && [ ! -L .venv ]; then
    unfit=absent
elif ! .venv/bin/python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
    unfit="not of a Python 3.10 to 3.13 on this machine"
elif ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    unfit="half made (no pip)"
# Its programs name the interpreter by the path for which they were made.
elif ! grep VIRTUAL_ENV= .venv/bin/activate | tr -d "\"'" | grep -F "=$PWD/.venv" >/dev/null; then
    unfit="made for another directory"
fi
if [ -n "$unfit" ]; then
    [ "$unfit" = absent ] || printf 'setup: .venv is %s; making it anew\n' "$unfit" >&2
    rm -rf .venv
    "$python" -m venv .venv
fi
wanted="$(sha256sum pyproject.toml) $PWD"
stamp=.venv/mcu-ser-setup-$extras
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    printf 'setup: installing mcu-ser[%s] into .venv\n' "$extras" >&2
    .venv/bin/python -m pip install -q --disable-pip-version-check --editable ".[$extras]"
    printf '%s\n' "$wanted" >"$stamp"
fi
