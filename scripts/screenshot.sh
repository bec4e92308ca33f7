#!/bin/sh
# A picture of a report: scripts/screenshot.sh PAGE [PNG] [WIDTH] [HEIGHT]
#
#   scripts/screenshot.sh runs/demo/report.html docs/report.png 1200 1500
set -eu

page=${1:?usage: scripts/screenshot.sh PAGE [PNG] [WIDTH] [HEIGHT]}
png=${2:-report.png}
width=${3:-1200}
height=${4:-1500}
test -f "$page" || { echo "there is no page $page: run a study first" >&2; exit 1; }
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) \
    || { echo "Chromium is needed: apt-get install chromium" >&2; exit 1; }

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
# Twice the pixels, so that the text is sharp. Chromium's chatter is shown only where no picture came of it.
if ! "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --hide-scrollbars --force-device-scale-factor=2 \
    --user-data-dir="$profile" --window-size="$width,$height" --screenshot="$(realpath "$png")" \
    "file://$(realpath "$page")" 2> "$profile/log" || ! test -s "$png"
then
    cat "$profile/log" >&2
    exit 1
fi
echo "$png"
